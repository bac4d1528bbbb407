internal import ArgumentParser
internal import Buckets
internal import Glibc
internal import Seams
internal import Store

/// Where the store is copied to while the server runs.
struct ReplicaOptions: ParsableArguments {
    @Option(
        help: """
            Folder on another disk or a mounted share, or s3://BUCKET/PREFIX, to which the store is copied all the time: a \
            lost disk then loses at most two seconds while the copy keeps up. Keys are not copied.
            """)
    var replicateTo: String?

    @OptionGroup var bucket: BucketOptions

    @Option(help: "How many hours back the copy can be restored; what only older points need is removed there.")
    var replicateKeepHours = 168

    func validate() throws {
        if !(1...87_600).contains(replicateKeepHours) {
            throw ValidationError("--replicate-keep-hours: expected 1 to 87600, found \(replicateKeepHours)")
        }
        if let replicateTo { _ = try ReplicaPlace(replicateTo, option: "--replicate-to") }
    }

    /// How far back the copy can be restored.
    var kept: Duration { .seconds(replicateKeepHours * 3600) }

    /// The copy of the store in the data directory `directory`; `nil` where there is to be none. The target is not asked
    /// yet: a server starts without it.
    func replica(of directory: String) throws -> Replica? {
        guard let replicateTo else { return nil }
        let place = try ReplicaPlace(replicateTo, option: "--replicate-to")
        try place.check(against: directory)
        let files = LinuxFileSystem()
        let target = try place.target(bucket)
        let identity = try Replica.identity(of: directory, fileSystem: files, random: SystemRandomSource())
        return Replica(data: directory, identity: identity, fileSystem: files, target: target)
    }
}

/// How a bucket is reached.
struct BucketOptions: ParsableArguments {
    @Option(
        help: """
            Address of the S3 service, such as https://minio.example:9000. Default: $AWS_ENDPOINT_URL, or AWS's own in \
            $AWS_REGION. Credentials come from $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY or ~/.aws/credentials. What \
            is not sealed is sent as it is: use https beyond this machine.
            """)
    var s3Endpoint: String?

    /// What the options and the environment say of the bucket at `address`.
    func settings(_ address: String) throws -> BucketSettings {
        do throws(BucketError) {
            return try BucketSettings(
                address, endpoint: s3Endpoint, environment: { name in getenv(name).map { String(cString: $0) } },
                readFile: { Files.exists($0) ? try Files.read($0) : nil })
        } catch {
            throw Files.Failure(description: "\(error)")
        }
    }
}

/// A place that holds a replica, as users name it.
enum ReplicaPlace {
    case folder(String)
    case bucket(String)

    init(_ text: String, option: String) throws {
        if text.hasPrefix("s3://") {
            self = .bucket(text)
        } else if !text.isEmpty, !text.contains("://") {
            self = .folder(text)
        } else {
            throw ValidationError("\(option): expected a folder or s3://BUCKET/PREFIX, found \"\(text)\"")
        }
    }

    func target(_ options: BucketOptions) throws -> any ReplicaTarget {
        switch self {
        case .bucket(let address): try ReplicaBucket(try options.settings(address), clock: SystemClock())
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
