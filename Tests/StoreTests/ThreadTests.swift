import Documents
import Glibc
import Journal
import Seams
import Store
import Synchronization
import Testing

/// The store as the server runs it: a thread of its own for the log, on the machine's file system.
struct ThreadTests {
    private let directory: String

    init() throws {
        var template = Array("/tmp/espalier-store-XXXXXX".utf8CString)
        directory = String(cString: try #require(mkdtemp(&template)))
    }

    private func open(_ change: (inout StoreConfiguration) -> Void = { _ in }) throws -> Keyspace {
        let files = LinuxFileSystem()
        let keys = try SealingKeys.load(directory: "\(directory)/keys", fileSystem: files)
        var configuration = StoreConfiguration()
        change(&configuration)
        return try Keyspace.open(
            directory: directory, fileSystem: files, clock: SystemClock(), keys: keys, configuration: configuration)
    }

    private func removeDirectory() {
        let files = LinuxFileSystem()
        for folder in ["log", "keys", "."] {
            for name in (try? files.list("\(directory)/\(folder)")) ?? [] { unlink("\(directory)/\(folder)/\(name)") }
            rmdir("\(directory)/\(folder)")
        }
        rmdir(directory)
    }

    @Test func concurrentWritersAreAllDurableInOneOrder() async throws {
        defer { removeDirectory() }
        let store = try open()
        let cursor = try store.watch(prefixes: [[]], after: .empty, visibility: .durable)
        try await withThrowingTaskGroup { group in
            for writer in 0..<16 {
                group.addTask {
                    for number in 0..<25 {
                        let revision = try store.put(key("w\(writer)-\(number)"), "\(number)")
                        try await store.waitDurable(revision)
                        #expect(store.durableRevision >= revision)
                    }
                }
            }
            try await group.waitForAll()
        }
        var seen: [UInt64] = []
        while case let changes = try cursor.poll(), !changes.isEmpty { seen += changes.map(\.revision.rawValue) }
        #expect(seen == Array(2...401))
        store.close()
        let again = try open()
        #expect(again.recoveryNote == nil)
        #expect(again.snapshot(.durable).count(prefix: []) == 400)
        again.close()
    }

    /// Values move into tables, and from table to table, under those who read them.
    @Test func valuesAreReadWhileTheyMove() async throws {
        defer { removeDirectory() }
        let change = { (configuration: inout StoreConfiguration) in
            configuration.journal.segmentBytes = 8192
            configuration.journal.growthBytes = 0
            configuration.historyRevisions = 20
            configuration.verificationPause = .zero
        }
        let store = try open(change)
        let text = { @Sendable (writer: Int, number: Int) in
            "\(writer) \(number) " + String(repeating: "v", count: number % 300)
        }
        let ends = Ends()
        try await withThrowingTaskGroup { group in
            for writer in 0..<4 {
                group.addTask {
                    var number = 0
                    defer { ends.numbers.withLock { $0[writer] = number } }
                    // Tables and merges come when the machine has time for them.
                    while number < 300 || store.statistics.merges < 3 && number < 10_000 {
                        let key = key("w\(writer)-\(number % 50)", writer == 0 ? secrets : configMaps)
                        let put = put(key, text(writer, number), sealed: writer == 0)
                        try await store.waitDurable(try store.commit(Transaction(operations: [put])))
                        number += 1
                    }
                }
            }
            group.addTask {
                while ends.numbers.withLock({ $0.count }) < 4, !Task.isCancelled {
                    let entries = store.snapshot(.durable).list(prefix: [])
                    var values: [String] = []
                    try entries.readValues { values.append(String(decoding: $1, as: UTF8.self)) }
                    for (entry, value) in zip(entries, values) {
                        #expect(entry.key.objectKey.name.hasPrefix("w\(value.prefix(1))-"))
                        #expect(try entry.value.array == Array(value.utf8))
                    }
                    await Task.yield()
                }
            }
            try await group.waitForAll()
        }
        #expect(store.statistics.merges >= 3)
        #expect(store.writeRefusal == nil)
        store.close()
        let again = try open(change)
        defer { again.close() }
        for (writer, end) in ends.numbers.withLock({ $0 }) {
            for number in (end - 50)..<end {
                let key = key("w\(writer)-\(number % 50)", writer == 0 ? secrets : configMaps)
                #expect(try again.text(key) == text(writer, number))
            }
        }
    }

    /// How much each writer wrote.
    private final class Ends: Sendable {
        let numbers = Mutex<[Int: Int]>([:])
    }

    @Test func oneDirectoryHasOneStore() throws {
        defer { removeDirectory() }
        let store = try open()
        let error = #expect(throws: StoreError.self) { try open() }
        guard case .locked(let path) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(path == directory)
        store.close()
        try open().close()
    }

    @Test func filesAreForTheOwnerAlone() throws {
        defer { removeDirectory() }
        let store = try open()
        defer { store.close() }
        for (path, mode) in [
            ("keys", 0o700), ("keys/1.key", 0o600), ("log", 0o700), ("log/0000000000000002.log", 0o600),
        ] {
            var status = stat()
            #expect(stat("\(directory)/\(path)", &status) == 0)
            #expect(Int(status.st_mode & 0o777) == mode, "\(path)")
        }
    }

    @Test func aClosedStoreRefuses() async throws {
        defer { removeDirectory() }
        let store = try open()
        let revision = try store.put(key("a"), "1")
        store.close()
        try await store.waitDurable(revision)
        #expect(throws: StoreError.self) { try store.put(key("a"), "2") }
    }
}
