internal import ArgumentParser
internal import Documents
internal import Glibc
internal import Node
internal import Seams
internal import Store

/// Where sealing keys are, as options.
struct KeyOptions: ParsableArguments {
    @Option(
        help: "Folder of the sealing keys. Default: keys/ in the data directory; elsewhere they protect lost disks too."
    )
    var keysDir: String?

    @Option(
        help: """
            A command that prints the sealing keys, such as "vault kv get -field=keys secret/espalier": split at spaces, no \
            shell. A line per key: espalier-key-2 NUMBER TIME-OR-DASH 64-HEXADECIMAL-DIGITS.
            """)
    var keyCommand: String?

    func validate() throws {
        if keysDir != nil, keyCommand != nil {
            throw ValidationError("expected --keys-dir or --key-command, found both")
        }
        if let keyCommand, keyCommand.allSatisfy({ $0 == " " }) {
            throw ValidationError("--key-command: expected a command")
        }
    }

    func provider(dataDirectory: String) -> KeyProvider {
        KeyProvider(
            dataDirectory: dataDirectory, folder: keysDir ?? "\(dataDirectory)/keys",
            command: keyCommand.map { $0.split(separator: " ").map(String.init) })
    }
}

/// Reads sealing keys from their folder or their command, and makes the next one where that is ours to do.
struct KeyProvider: Sendable {
    let dataDirectory: String
    let folder: String
    let command: [String]?

    /// What one may ask of the open store that these keys seal.
    func maintenance(of store: Keyspace, sealed: Set<GroupResource>) -> StoreMaintenance {
        StoreMaintenance(
            store: store, directory: dataDirectory, fileSystem: LinuxFileSystem(), sealed: sealed,
            nextKeys: { () throws(StoreError) in try await next() })
    }

    /// The keys there are. The first is made with a new store only: a store with content has keys already, and if they are
    /// not here they are lost or elsewhere.
    func load() async throws(StoreError) -> SealingKeys {
        if let command { return try await run(command) }
        return try SealingKeys.load(
            directory: folder, fileSystem: LinuxFileSystem(), now: SystemClock().now(), makesFirst: !hasLog)
    }

    /// The keys there are, none being made.
    func existing() async throws(StoreError) -> SealingKeys {
        if let command { return try await run(command) }
        return try SealingKeys.load(directory: folder, fileSystem: LinuxFileSystem(), makesFirst: false)
    }

    /// The keys with the one after the newest: made in the folder, or printed by the command by now.
    func next() async throws(StoreError) -> SealingKeys {
        if let command { return try await run(command) }
        return try SealingKeys.rotate(directory: folder, fileSystem: LinuxFileSystem(), now: SystemClock().now())
    }

    private var hasLog: Bool {
        let names = try? LinuxFileSystem().list("\(dataDirectory)/log")  // there is none: a new store
        return names?.contains { !$0.hasSuffix(".tmp") } ?? false
    }

    private func run(_ command: [String]) async throws(StoreError) -> SealingKeys {
        let launch = ProcessLaunch(path: Self.resolve(command[0]), arguments: command, environment: Self.environment)
        let result: ProcessResult
        do {
            result = try await SystemProcessSpawner().run(launch, input: [], timeout: .seconds(30))
        } catch {
            throw .sealed(reason: "the key command cannot be run: \(error)")
        }
        // What it printed may be half a key: it is not repeated.
        guard result.code == 0 else {
            throw .sealed(reason: "the key command \(command[0]) ended with code \(result.code)")
        }
        return try SealingKeys.parse(printed: result.output)
    }

    private static func resolve(_ name: String) -> String {
        if name.contains("/") { return name }
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let candidates = folders.split(separator: ":").map { "\($0)/\(name)" }
        return candidates.first { access($0, X_OK) == 0 } ?? name
    }

    /// Our own, which is where credentials for a key command are as a rule.
    private static var environment: [String] {
        var list: [String] = []
        var next = environ
        while let entry = next.pointee {
            list.append(String(cString: entry))
            next += 1
        }
        return list
    }
}
