internal import APIServer
internal import Documents
internal import Node

/// The insides of the node's pods, for the API server, which does not know the node.
struct PodReachAdapter: PodReach {
    let node: NodeAgent

    private static func key(_ namespace: String, _ pod: String) -> ObjectKey {
        ObjectKey(GroupResource(group: "", resource: "pods"), namespace: namespace, name: pod)
    }

    func start(_ request: PodCommandRequest) async throws(APIError) -> any PodCommand {
        var container = ContainerLogRequest(Self.key(request.namespace, request.pod))
        container.container = request.container
        var command = ContainerCommand.Request(words: request.command)
        command.hasInput = request.hasInput
        command.hasOutput = request.hasOutput
        command.hasErrors = request.hasErrors
        command.isTerminal = request.isTerminal
        return Running(
            command: request.command.isEmpty
                ? try await node.attach(command, to: container) : try await node.start(command, in: container))
    }

    func connect(namespace: String, pod: String, port: Int) async throws(APIError) -> Int32 {
        try await node.connect(to: port, of: Self.key(namespace, pod))
    }

    private struct Running: PodCommand {
        let command: ContainerCommand
        var input: Int32? { command.input }
        var output: Int32? { command.output }
        var errors: Int32? { command.errors }
        func resize(columns: Int, rows: Int) { command.resize(columns: columns, rows: rows) }
        func wait() async -> Int32 { await command.wait() }
        func cancel() { command.cancel() }
    }
}
