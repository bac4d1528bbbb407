package import Documents
internal import Journal
package import Seams

/// What an operator may ask of an open store: the same through a running server and offline. Answers are lines for
/// people, the last of which is the verdict.
package struct StoreMaintenance: Sendable {
    package let store: Keyspace
    /// The data directory.
    private let directory: String
    private let fileSystem: any FileSystem
    /// What is sealed besides Secrets.
    private let sealed: Set<GroupResource>
    /// Makes or finds the next key, durable where keys are kept.
    private let nextKeys: @Sendable () async throws(StoreError) -> SealingKeys

    package init(
        store: Keyspace, directory: String, fileSystem: any FileSystem, sealed: Set<GroupResource>,
        nextKeys: @escaping @Sendable () async throws(StoreError) -> SealingKeys
    ) {
        self.store = store
        self.directory = directory
        self.fileSystem = fileSystem
        self.sealed = sealed
        self.nextKeys = nextKeys
    }

    /// Checks every file against every other and against what is in memory, on a thread of its own.
    package func verify() async -> StoreVerification.Report {
        await DedicatedThread.run(name: "store-check") {
            StoreVerification.run(data: directory, fileSystem: fileSystem, keys: store.keys, live: store)
        }
    }

    /// A table of the keys: number, when it was made, values it seals, files that need it.
    package func keys() async -> [[String]] {
        let report = await verify()
        let use = store.keyUse()
        return store.keyList.map { number, created in
            let (values, files) = (use[number] ?? 0, report.filesByKey[number] ?? 0)
            let isRemovable = values == 0 && files == 0 && number != store.sealingKey && report.problems.isEmpty
            return [
                "\(number)", created?.rfc3339 ?? "unknown", "\(values)", "\(files)",
                number == store.sealingKey ? "seals" : isRemovable ? "removable" : "opens",
            ]
        }
    }

    package static let keyHeader = ["KEY", "CREATED", "VALUES", "FILES", "STATE"]

    /// Takes the next key into use and rewrites what older keys sealed.
    package func rotateKey() async throws(StoreError) -> String {
        let before = store.sealingKey
        try store.adopt(try await nextKeys())
        guard store.sealingKey != before else {
            throw .sealed(
                reason: "there is no key after \(before): let the key command print the next one too, then ask again")
        }
        return "key \(store.sealingKey) seals from now on; \(try await finishRotation()) documents rewritten"
    }

    /// Rewrites what older keys sealed, if anything: a rotation that was cut short.
    package func finishRotation() async throws(StoreError) -> Int {
        store.hasOlderSeals ? try await store.reseal { _, isSealed in isSealed } : 0
    }

    /// Brings every document to what is configured: sealed under the newest key, or in clear.
    package func reseal() async throws(StoreError) -> String {
        let sealed = sealed
        let count = try await store.reseal { key, _ in Self.isSealed(key.objectKey.resource, sealed) }
        return "\(count) documents rewritten"
    }

    /// Secrets always, and what is configured.
    package static func isSealed(_ resource: GroupResource, _ configured: Set<GroupResource>) -> Bool {
        resource == GroupResource(group: "", resource: "secrets") || configured.contains(resource)
    }
}
