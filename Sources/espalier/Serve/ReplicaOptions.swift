internal import ArgumentParser
internal import Documents
internal import Logging
internal import Seams
internal import Store

/// Where the store is copied to while the server runs.
struct ReplicaOptions: ParsableArguments {
    @Option(
        help: """
            Folder on another disk or a mounted share to which the store is copied all the time: a lost disk then loses at \
            most two seconds while the copy keeps up. Keys are not copied.
            """)
    var replicateTo: String?

    @Option(help: "How many hours back the copy can be restored; what only older points need is removed there.")
    var replicateKeepHours = 168

    func validate() throws {
        if !(1...87_600).contains(replicateKeepHours) {
            throw ValidationError("--replicate-keep-hours: expected 1 to 87600, found \(replicateKeepHours)")
        }
        if let replicateTo { _ = try ReplicaPlace(replicateTo, option: "--replicate-to") }
    }

    /// What copies `store`, whose data directory is `directory`; `nil` where nothing does.
    func replication(
        of store: Keyspace, in directory: String, _ clock: any Clock, _ random: any RandomSource, _ logger: Logger
    ) throws -> Replication? {
        guard let replicateTo else { return nil }
        let place = try ReplicaPlace(replicateTo, option: "--replicate-to")
        try place.check(against: directory)
        let files = LinuxFileSystem()
        let replica = Replica(
            data: directory, identity: try Replica.identity(of: directory, fileSystem: files, random: random),
            fileSystem: files, target: try place.target())
        return Replication(
            store: store, replica: replica, kept: .seconds(replicateKeepHours * 3600), clock: clock, logger: logger)
    }
}

/// A place that holds a replica, as users name it.
enum ReplicaPlace {
    case folder(String)

    init(_ text: String, option: String) throws {
        if text.isEmpty || text.contains("://") {
            throw ValidationError("\(option): expected a folder, found \"\(text)\"")
        }
        self = .folder(text)
    }

    func target() throws -> any ReplicaTarget {
        switch self {
        case .folder(let path): ReplicaFolder(path: path, fileSystem: LinuxFileSystem())
        }
    }

    /// A copy within the data directory is lost with it.
    func check(against directory: String) throws {
        guard case .folder(let path) = self, let real = Files.realPath(path) else { return }
        if "\(real)/".hasPrefix("\(directory)/") {
            throw Files.Failure(
                description: "--replicate-to: expected a folder on another disk, found \(path), which is in the data "
                    + "directory and would be lost with it")
        }
    }
}
