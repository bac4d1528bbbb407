internal import APIServer
internal import Documents
internal import Node
internal import Seams

/// The node's logs, for the API server, which does not know the node.
struct PodLogAdapter: PodLogSource {
    let node: NodeAgent

    func open(_ request: PodLogRequest) async throws(APIError) -> any PodLogStream {
        let key = ObjectKey(GroupResource(group: "", resource: "pods"), namespace: request.namespace, name: request.pod)
        var wanted = ContainerLogRequest(key)
        wanted.container = request.container
        wanted.isFollowing = request.follows
        wanted.isPrevious = request.previous
        wanted.hasTimestamps = request.timestamps
        wanted.tailLines = request.tailLines
        wanted.since = request.sinceSeconds.map { SystemClock().now() + .seconds(-$0) }
        wanted.limitBytes = request.limitBytes
        return Stream(log: try await node.openLog(wanted))
    }

    private struct Stream: PodLogStream {
        let log: ContainerLog
        func next() async throws(APIError) -> [UInt8]? { await log.next() }
        func cancel() { log.cancel() }
    }
}
