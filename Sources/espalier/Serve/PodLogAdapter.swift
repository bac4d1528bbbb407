internal import APIServer
internal import Documents
internal import Node
internal import Seams

/// The node's logs, for the API server, which does not know the node.
struct PodLogAdapter: APIServer.PodLogSource {
    let node: NodeAgent

    func open(_ request: APIServer.PodLogRequest) async throws(APIError) -> any PodLogStream {
        let key = ObjectKey(GroupResource(group: "", resource: "pods"), namespace: request.namespace, name: request.pod)
        var wanted = Node.PodLogRequest(key)
        wanted.container = request.container
        wanted.isFollowing = request.follows
        wanted.isPrevious = request.previous
        wanted.hasTimestamps = request.timestamps
        wanted.tailLines = request.tailLines
        wanted.since = request.sinceSeconds.map { SystemClock().now() + .seconds(-$0) }
        wanted.limitBytes = request.limitBytes
        return PodLogPipe(node: node, request: wanted)
    }
}

/// Turns the node's pushing into the server's pulling.
private final class PodLogPipe: PodLogStream {
    private let pieces = LogPieces()
    private let task: Task<Void, Never>

    init(node: NodeAgent, request: Node.PodLogRequest) {
        let pieces = pieces
        // Reads until the log ends or `cancel` is called: the stream is pulled from another task.
        task = Task {
            do {
                try await node.readLog(request) { await pieces.put($0) }
                await pieces.finish(.success(()))
            } catch {
                let refusal = APIError(code: 500, reason: .internalError, message: "the log cannot be read: \(error)")
                await pieces.finish(.failure(error as? APIError ?? refusal))
            }
        }
    }

    func next() async throws(APIError) -> [UInt8]? { try await pieces.take() }

    func cancel() {
        task.cancel()
        let pieces = pieces
        Task { await pieces.finish(.success(())) }  // lets go of a writer that waits for its reader
    }
}

/// One piece of a log on its way. The writer waits until it was taken, so a slow reader holds the node back.
private actor LogPieces {
    private var piece: [UInt8]?
    private var ending: Result<Void, APIError>?
    private var reader: CheckedContinuation<Void, Never>?
    private var writer: CheckedContinuation<Void, Never>?

    func put(_ bytes: [UInt8]) async {
        while piece != nil, ending == nil { await withCheckedContinuation { writer = $0 } }
        if ending != nil { return }
        piece = bytes
        resume(&reader)
    }

    func take() async throws(APIError) -> [UInt8]? {
        while piece == nil {
            if let ending {
                try ending.get()
                return nil
            }
            await withCheckedContinuation { reader = $0 }
        }
        defer {
            piece = nil
            resume(&writer)
        }
        return piece
    }

    func finish(_ ending: Result<Void, APIError>) {
        if self.ending == nil { self.ending = ending }
        resume(&reader)
        resume(&writer)
    }

    private func resume(_ continuation: inout CheckedContinuation<Void, Never>?) { continuation.take()?.resume() }
}
