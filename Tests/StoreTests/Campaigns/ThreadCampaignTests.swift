import Glibc
import Seams
import Simulation
import Store
import Synchronization
import Testing

/// Writers, readers, watchers and compaction on real threads and a real disk, at the same time: what `hack/sanitize`
/// looks at for races. Every write is seen once, in order, by every watcher.
struct ThreadCampaignTests {
    private static let writes = CampaignScale.number("THREAD_WRITES", small: 200)
    private static let writers = 8

    /// Rung when a watch may read on.
    private final class Wake: Sendable {
        private let waiting = Mutex<(hasRung: Bool, continuation: CheckedContinuation<Void, Never>?)>((false, nil))

        func ring() {
            let continuation = waiting.withLock { state in
                defer { state.continuation = nil }
                state.hasRung = state.continuation == nil
                return state.continuation
            }
            continuation?.resume()
        }

        func wait() async {
            await withCheckedContinuation { continuation in
                let hasRung = waiting.withLock { state in
                    defer { state.hasRung = false }
                    if !state.hasRung { state.continuation = continuation }
                    return state.hasRung
                }
                if hasRung { continuation.resume() }
            }
        }
    }

    /// How far the watchers are: compaction goes up to there and overtakes none.
    private final class Places: Sendable {
        private let places = Mutex(Array(repeating: Revision.empty, count: 3))
        var lowest: Revision { places.withLock { $0.min() ?? .empty } }
        func set(_ watcher: Int, _ revision: Revision) { places.withLock { $0[watcher] = revision } }
    }

    @Test func everythingAtOnce() async throws {
        var template = Array("/tmp/espalier-threads-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        let store = try Keyspace.open(
            directory: directory, fileSystem: LinuxFileSystem(), clock: SystemClock(), keys: .ephemeral())
        let last = Revision(rawValue: UInt64(1 + Self.writers * Self.writes))
        let places = Places()
        let seen = try await withThrowingTaskGroup(of: Int.self, returning: [Int].self) { group in
            for writer in 0..<Self.writers { group.addTask { try await Self.write(store, writer, places) } }
            for watcher in 0..<3 {
                group.addTask { try await Self.watch(store, through: last) { places.set(watcher, $0) } }
            }
            for reader in 0..<3 { group.addTask { try Self.read(store, SeededRandom(seed: UInt64(reader) + 1)) } }
            var results: [Int] = []
            for try await result in group { results.append(result) }
            return results
        }
        #expect(seen.count(where: { $0 == Self.writers * Self.writes }) == 3, "what watchers saw")
        #expect(store.durableRevision == last)
        store.close()
        let again = try Keyspace.open(
            directory: directory, fileSystem: LinuxFileSystem(), clock: SystemClock(), keys: .ephemeral())
        #expect(again.durableRevision == last)
        again.close()
        Self.remove(directory)
    }

    private static func write(_ store: Keyspace, _ writer: Int, _ places: Places) async throws -> Int {
        for number in 0..<writes {
            let revision = try store.put(key("w\(writer)-\(number % 20)"), "\(number)")
            try await store.waitDurable(revision)
            #expect(store.snapshot(.durable).get(key("w\(writer)-\(number % 20)"))?.modRevision == revision)
            if number % 10 == 9 { store.compact(to: places.lowest) }
        }
        return 0
    }

    private static func watch(
        _ store: Keyspace, through last: Revision, _ reached: (Revision) -> Void
    ) async throws -> Int {
        let cursor = try store.watch(prefixes: [[]], after: .empty, visibility: .durable)
        var (count, revision) = (0, Revision.empty)
        while revision < last {
            let changes = try cursor.poll()
            if changes.isEmpty {
                let wake = Wake()
                cursor.onChange { wake.ring() }
                await wake.wait()
            }
            for change in changes {
                #expect(change.revision == revision.next)
                revision = change.revision
                count += 1
            }
            reached(revision)
        }
        return count
    }

    private static func read(_ store: Keyspace, _ random: SeededRandom) throws -> Int {
        for _ in 0..<writes {
            let snapshot = store.snapshot(random.oneIn(2) ? .durable : .sequenced)
            let entries = snapshot.list(prefix: [])
            #expect(entries.allSatisfy { $0.modRevision <= snapshot.revision })
            let past = Revision(rawValue: max(store.compactedRevision.rawValue, snapshot.revision.rawValue / 2))
            if let older = try? store.snapshot(at: past) { #expect(older.revision == past) }
        }
        return 0
    }

    private static func remove(_ directory: String) {
        let files = LinuxFileSystem()
        for folder in ["log", "."] {
            for name in (try? files.list("\(directory)/\(folder)")) ?? [] { unlink("\(directory)/\(folder)/\(name)") }
            rmdir("\(directory)/\(folder)")
        }
        rmdir(directory)
    }
}
