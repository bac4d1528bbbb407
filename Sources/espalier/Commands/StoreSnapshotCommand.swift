internal import APIServer
internal import ArgumentParser
internal import Client
internal import Documents
internal import Glibc
internal import Seams
internal import Store

/// `espalier store snapshot`
struct StoreSnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Writes the whole store at one revision into a file.",
        discussion: "Sealed values stay sealed: restoring needs the same keys, which the file does not hold.")

    @OptionGroup var options: StoreOptions
    @Option(help: "The file to write. Replaced only when the new one is complete.") var to: String
    @Option(help: "A revision inside the history that is kept. Default: the newest.") var at: UInt64?

    func run() async throws {
        let output = try PartialFile(replacing: to)
        do {
            try await write(to: output)
            let contents = try SnapshotFile.read(try output.bytes(), file: to)
            try output.finish()
            Terminal.print("\(to): \(contents.entries.count) documents at revision \(contents.revision)")
        } catch {
            output.abandon()
            throw error
        }
    }

    private func write(to output: PartialFile) async throws {
        switch try options.holder() {
        case .server(let client):
            let query = at.map { "?revision=\($0)" } ?? ""
            let stream = try await client.stream("/debug/store/snapshot\(query)", accept: "text/plain")
            while let piece = try await stream.next() { try output.append(piece) }
        case .nobody(let lock):
            try await options.withStore(lock) { store in
                var writer = try store.snapshotWriter(at: at.map { Revision(rawValue: $0) })
                while let piece = try writer.next() { try output.append(piece) }
            }
        }
    }
}

/// `espalier store export`
struct StoreExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Prints every document, Secrets in clear.")

    @OptionGroup var options: StoreOptions
    @Option(help: "A revision inside the history that is kept. Default: the newest.") var at: UInt64?
    @Option(name: .shortAndLong, help: "json: a line per document; yaml: a YAML document each.") var output = "json"

    func validate() throws {
        if output != "json", output != "yaml" {
            throw ValidationError("--output: expected json or yaml, found \"\(output)\"")
        }
    }

    func run() async throws {
        switch try options.holder() {
        case .server(let client):
            let query = at.map { "?revision=\($0)" } ?? ""
            let stream = try await client.stream("/debug/store/export\(query)", accept: "application/json")
            var rest: [UInt8] = []
            while let piece = try await stream.next() {
                rest += piece
                guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
                for line in rest[...end].split(separator: UInt8(ascii: "\n")) { try print(Array(line)) }
                rest.removeSubrange(...end)
            }
        case .nobody(let lock):
            try await options.withStore(lock) { store in
                let snapshot = try at.map { try store.snapshot(at: Revision(rawValue: $0)) } ?? store.snapshot(.durable)
                var last: StoreKey?
                while case let page = snapshot.list(prefix: [], after: last, limit: 64), let end = page.last {
                    last = end.key
                    for entry in page { try print(try entry.value.array) }
                }
            }
        }
    }

    private func print(_ document: [UInt8]) throws {
        if output == "json" { return Terminal.write(document + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }
        Terminal.print("---\n" + YAMLWriter.text(try JSONParser.parse(document, maximumBytes: .max)), terminator: "")
    }
}

/// A file that takes its place only when it is complete and on the disk.
private final class PartialFile {
    private let path: String
    private let file: any File
    private var size = 0
    private let files = LinuxFileSystem()

    init(replacing path: String) throws {
        self.path = path
        if try files.exists("\(path).partial") { try files.remove("\(path).partial") }
        file = try files.open("\(path).partial", .create(permissions: 0o600))
    }

    func append(_ bytes: [UInt8]) throws {
        try file.write(bytes, at: size)
        size += bytes.count
    }

    func bytes() throws -> [UInt8] { try file.read(at: 0, count: size) }

    /// Removes what was written; what cannot be removed is replaced by the next attempt.
    func abandon() {
        file.close()
        try? files.remove("\(path).partial")
    }

    func finish() throws {
        try file.sync()
        file.close()
        try files.rename("\(path).partial", to: path)
        try files.syncDirectory(FilePath.parent(of: path))
    }
}
