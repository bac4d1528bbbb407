internal import Seams
internal import Synchronization

/// Random numbers that a seed decides (SplitMix64), for simulations that must run again exactly as they ran.
package final class SeededRandom: RandomSource, Sendable {
    private let state: Mutex<UInt64>

    package init(seed: UInt64) { state = Mutex(seed) }

    package func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    /// True once in `count` on average.
    package func oneIn(_ count: Int) -> Bool { next(below: count) == 0 }
}
