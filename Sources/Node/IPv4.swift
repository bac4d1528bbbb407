/// An IPv4 address as a number, most significant byte first.
package struct IPv4Address: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var number: UInt32

    package init(_ number: UInt32) { self.number = number }

    package init(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) { number = a << 24 | b << 16 | c << 8 | d }

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt8(part) : nil
        }
        guard parts.count == 4 else { return nil }
        number = 0
        for part in parts {
            guard let part else { return nil }
            number = number << 8 | UInt32(part)
        }
    }

    package var description: String {
        "\(number >> 24).\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)"
    }

    package static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.number < right.number }
}

/// A range of addresses in the form `10.97.8.0/21`.
package struct IPv4Range: Sendable, Hashable, CustomStringConvertible {
    package var base: IPv4Address
    package var prefix: Int

    package init(base: IPv4Address, prefix: Int) {
        precondition((1...32).contains(prefix), "prefix length \(prefix)")
        self.base = base
        self.prefix = prefix
    }

    package var count: Int { 1 << (32 - prefix) }
    package var description: String { "\(base)/\(prefix)" }

    package func address(_ offset: Int) -> IPv4Address { IPv4Address(base.number + UInt32(offset)) }

    package func contains(_ address: IPv4Address) -> Bool {
        address.number >> UInt32(32 - prefix) == base.number >> UInt32(32 - prefix)
    }
}
