import Glibc
import Seams
import Simulation
import Testing

/// Killed before and after every write of every scenario, the loops reach the same end. `CRASH_STRIDE=1` visits every
/// write; without it one in 61 is visited, starting at one that `SEED` chooses.
@Suite(.serialized) struct CrashTests {
    private static func environment(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    @Test(arguments: Scenario.all) func loopsKilledAtAnyWriteReachTheSameEnd(_ scenario: Scenario) async throws {
        let seed = UInt64(Self.environment("SEED") ?? 1)
        let stride = Self.environment("CRASH_STRIDE") ?? 61
        let reference = try await World(seed: seed)
        try await scenario.play(reference)
        let writes = reference.plane.loopClient.writes
        let wanted = try await reference.normalised()
        #expect(!writes.isEmpty)
        var points = 0
        for number in Swift.stride(from: 1 + Int(seed) % stride, through: writes.count, by: stride) {
            for side in [CrashPoint.Side.before, .after] {
                let point = CrashPoint(write: number, side)
                let world = try await World(seed: seed)
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

    @Test(arguments: Scenario.all) func powerCutAtAnyTimeLosesNothing(_ scenario: Scenario) async throws {
        let seed = UInt64(Self.environment("SEED") ?? 1)
        let reference = try await World(seed: seed)
        try await scenario.play(reference)
        let wanted = try await reference.normalised()
        for cut in 1...(Self.environment("POWER_CUTS") ?? 1) {
            let world = try await World(seed: seed &+ UInt64(cut))
            world.plane.powerCutIn(steps: 20 + SeededRandom(seed: UInt64(cut)).next(below: 300))
            try await scenario.play(world)
            let found = try await world.normalised()
            #expect(Lines.difference(wanted, found).isEmpty, "seed \(seed &+ UInt64(cut))")
        }
    }
}
