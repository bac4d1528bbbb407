package import Client
package import Documents
internal import Synchronization

/// Where a simulated process is killed: before or after its nth write.
package struct CrashPoint: Sendable, Equatable, CustomStringConvertible {
    package enum Side: Sendable { case before, after }
    package let write: Int
    package let side: Side

    package init(write: Int, _ side: Side) {
        self.write = write
        self.side = side
    }

    package var description: String { "\(side) write \(write)" }
}

/// The real client with a hand on it: counts writes, and at a crash point lets the write through or not, and nothing
/// after it. The process behind it is dead from there on.
package final class CrashingClient: Client {
    private struct State {
        var writes: [String] = []
        var crash: CrashPoint?
        var isDead = false
    }

    private let client: any Client
    private let state = Mutex(State())

    package init(_ client: any Client, crash: CrashPoint? = nil) {
        self.client = client
        state.withLock { $0.crash = crash }
    }

    /// What was written, as `verb key`, in order.
    package var writes: [String] { state.withLock { $0.writes } }
    package var isDead: Bool { state.withLock { $0.isDead } }

    private static let dead = APIError(code: 503, reason: .serviceUnavailable, message: "the process was killed here")

    private func write<Result>(
        _ name: String, _ body: () async throws(APIError) -> Result
    ) async throws(APIError) -> Result {
        let side = state.withLock { state -> CrashPoint.Side? in
            if state.isDead { return .before }
            state.writes.append(name)
            guard let crash = state.crash, crash.write == state.writes.count else { return nil }
            state.isDead = true
            return crash.side
        }
        if side == .before { throw Self.dead }
        let result = try await body()
        if side == .after { throw Self.dead }
        return result
    }

    package func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation {
        try await client.resource(for: kind)
    }

    package func get(_ key: ObjectKey) async throws(APIError) -> Document { try await client.get(key) }

    package func list(
        _ resource: GroupResource, namespace: String, options: ListOptions
    ) async throws(APIError) -> DocumentList {
        try await client.list(resource, namespace: namespace, options: options)
    }

    package func watch(_ resources: [GroupResource], options: WatchOptions) async throws(APIError) -> any WatchStream {
        try await client.watch(resources, options: options)
    }

    package func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document {
        let client = client
        return try await write("create \(document.kind) \(document.name)") { () async throws(APIError) in
            try await client.create(document, options: options)
        }
    }

    package func update(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let client = client
        return try await write("update \(document.kind) \(document.name)") { () async throws(APIError) in
            try await client.update(document, subresource: subresource, options: options)
        }
    }

    package func patch(
        _ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let client = client
        return try await write("patch \(key)") { () async throws(APIError) in
            try await client.patch(key, patch, subresource: subresource, options: options)
        }
    }

    package func apply(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let client = client
        let what = subresource.map { "apply \($0.rawValue) of" } ?? "apply"
        return try await write("\(what) \(document.kind) \(document.name)") { () async throws(APIError) in
            try await client.apply(document, subresource: subresource, options: options)
        }
    }

    package func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError) {
        let client = client
        return try await write("delete \(key)") { () async throws(APIError) in
            try await client.delete(key, options: options)
        }
    }
}
