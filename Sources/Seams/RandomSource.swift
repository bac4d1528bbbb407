/// Randomness as the program sees it: UIDs, generated names, jitter, the gateway's draw between backends.
/// Keys and nonces do not come from here; they come from the cryptography library.
package protocol RandomSource: Sendable {
    /// The next 64 random bits.
    func next() -> UInt64
}

/// The machine's own randomness.
package struct SystemRandomSource: RandomSource {
    package init() {}

    package func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

extension RandomSource {
    /// A number below `bound`, which must be above zero. The bias is below 2⁻³² for every bound we use.
    package func next(below bound: Int) -> Int {
        precondition(bound > 0, "random number below \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number from 0 to below 1, in thousandths: for jitter.
    package func fraction() -> Double { Double(next(below: 1000)) / 1000 }
}
