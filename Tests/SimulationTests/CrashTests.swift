import Glibc
import Seams
import Simulation
import Testing

/// Killed before and after every write of every scenario, and with the power cut at any time, the loops reach the same end.
/// `CRASH_STRIDE=1` visits every write; without it one in 61 is visited, starting at one that `SEED` chooses. The told
/// story takes every decision twice; what is told again with a crash in it trusts that.
struct CrashTests {
    private static func environment(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    @Test(arguments: Scenario.all) func crashesAtAnyTimeReachTheSameEnd(_ scenario: Scenario) async throws {
        let seed = UInt64(Self.environment("SEED") ?? 1)
        let reference = try await World(seed: seed)
        try await scenario.play(reference)
        let wanted = try await reference.normalised()
        try await killLoops(scenario, seed, reference.plane.loopClient.writes, wanted)
        for cut in 1...(Self.environment("POWER_CUTS") ?? 1) {
            let world = try await World(seed: seed &+ UInt64(cut), decidesTwice: false)
            world.plane.powerCutIn(steps: 20 + SeededRandom(seed: UInt64(cut)).next(below: 300))
            try await scenario.play(world)
            let found = try await world.normalised()
            #expect(Lines.difference(wanted, found).isEmpty, "power cut \(cut), seed \(seed &+ UInt64(cut))")
        }
    }

    private func killLoops(_ scenario: Scenario, _ seed: UInt64, _ writes: [String], _ wanted: [String]) async throws {
        #expect(!writes.isEmpty)
        let stride = Self.environment("CRASH_STRIDE") ?? 61
        var points = 0
        for number in Swift.stride(from: 1 + Int(seed) % stride, through: writes.count, by: stride) {
            for side in [CrashPoint.Side.before, .after] {
                let point = CrashPoint(write: number, side)
                let world = try await World(seed: seed, decidesTwice: false)
                world.plane.restartLoops(crash: point)
                try await scenario.play(world)
                points += 1
                let found = try await world.normalised()
                #expect(
                    Lines.difference(wanted, found).isEmpty,
                    "seed \(seed), \(point) of \(writes.count): \(writes[number - 1])")
            }
        }
        if stride < 61 { print("\(scenario): \(writes.count) writes, \(points) crashes (seed \(seed))") }
    }
}
