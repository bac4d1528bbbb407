internal import APIServer
internal import ArgumentParser
internal import Documents
internal import Journal
internal import Seams
internal import Store

/// `espalier store restore`
struct StoreRestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Makes a new data directory from a snapshot or a replica.",
        discussion: """
            The new store begins far above every revision the old one gave out, so that clients that watched the old one \
            read everything again. Put the old store's keys into keys/ of the new directory first, or name them. \
            Certificates and the administrator's token are not part of a snapshot: the new server makes its own.
            """)

    @Option(help: "The snapshot file, or the place that `serve --replicate-to` filled.") var from: String
    @Option(help: "The data directory to make; nothing but keys/ may be in it.") var dataDir: String
    @Option(help: "From a replica: as it was at this revision.") var revision: UInt64?
    @Option(help: "From a replica: as it was copied by then, such as 2027-01-31T12:00:00Z.") var time: String?
    @OptionGroup var bucket: BucketOptions
    @OptionGroup var keyOptions: KeyOptions

    func validate() throws {
        if revision != nil, time != nil { throw ValidationError("expected --revision or --time, found both") }
        if let time, Instant(rfc3339: time) == nil {
            throw ValidationError("--time: expected a time such as 2027-01-31T12:00:00Z, found \"\(time)\"")
        }
        if revision != nil || time != nil, !isReplica {
            throw ValidationError("--revision and --time need a replica; a snapshot is of one revision")
        }
    }

    private var isReplica: Bool { from.contains("://") || Files.isDirectory(from) }

    private var point: ReplicaPoint {
        if let revision { return .revision(Revision(rawValue: revision)) }
        return time.flatMap { Instant(rfc3339: $0) }.map { .time($0) } ?? .newest
    }

    func run() async throws {
        let outcome = isReplica ? try await restoreReplica() : try await restoreSnapshot()
        Terminal.print(
            "\(outcome.documents) documents of revision \(outcome.source) restored; "
                + "\(dataDir) begins at revision \(outcome.start)")
    }

    private func restoreSnapshot() async throws -> StoreRestoration.Outcome {
        let files = LinuxFileSystem()
        let contents = try SnapshotFile.read(try files.readFile(from), file: from)
        return try StoreRestoration.restore(
            contents, to: dataDir, fileSystem: files, keys: try await keys(), now: SystemClock().now())
    }

    private func restoreReplica() async throws -> StoreRestoration.Outcome {
        let target = try ReplicaPlace(from, option: "--from").target(bucket)
        let (from, point, dataDir, keys) = (from, point, dataDir, try await keys())
        let outcome = await DedicatedThread.run(name: "restore") { () -> Result<StoreRestoration.Outcome, StoreError> in
            Result { () throws(StoreError) in
                try ReplicaRestoration.restore(
                    target, named: from, until: point, to: dataDir, fileSystem: LinuxFileSystem(), clock: SystemClock(),
                    keys: keys)
            }
        }
        return try outcome.get()
    }

    private func keys() async throws -> SealingKeys {
        try PrivateFile.makeDirectory(dataDir)
        return try await keyOptions.provider(dataDirectory: dataDir).existing()
    }
}
