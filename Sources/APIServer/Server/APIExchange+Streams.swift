internal import Crypto
internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Store

/// What a request becomes that leaves HTTP behind: commands in pods, and their ports.
extension APIExchange {
    /// How a client wants its streams carried.
    private enum Upgrade {
        case webSocket(key: String, offered: [String])
        case spdy(offered: [String])
    }

    private func upgrade() throws(APIError) -> Upgrade {
        let wanted = header("Upgrade").lowercased()
        let isUpgrade = header("Connection").lowercased().split(separator: ",")
            .contains { $0.split(separator: " ") == ["upgrade"] }
        switch isUpgrade ? wanted : "" {
        case "websocket" where request.method == .GET:
            let key = header("Sec-WebSocket-Key")
            guard Base64.decode(key)?.count == 16, header("Sec-WebSocket-Version") == "13" else {
                throw .badRequest("expected a WebSocket of version 13 with a key of 16 bytes")
            }
            return .webSocket(key: key, offered: list("Sec-WebSocket-Protocol"))
        case "spdy/3.1": return .spdy(offered: list("X-Stream-Protocol-Version"))
        default: throw .badRequest("Upgrade request required")
        }
    }

    private func list(_ name: String) -> [String] {
        request.headers[canonicalForm: name].map(String.init)
    }

    private var reach: any PodReach {
        get throws(APIError) {
            if let reach = handler.podReach { return reach }
            throw APIError(
                code: 503, reason: .serviceUnavailable, message: "no node runs pods yet; try again",
                retryAfterSeconds: 1)
        }
    }

    // MARK: Commands

    func runCommand(_ key: ObjectKey, isAttach: Bool) throws(APIError) {
        var wanted = PodCommandRequest(namespace: key.namespace, pod: key.name)
        wanted.container = query["container"]
        wanted.command = isAttach ? [] : query.all("command")
        wanted.hasInput = query.flag("stdin")
        wanted.hasOutput = query.flag("stdout")
        wanted.isTerminal = query.flag("tty")
        // A terminal has one output.
        wanted.hasErrors = query.flag("stderr") && !wanted.isTerminal
        if !isAttach, wanted.command.isEmpty {
            throw .badRequest("you must specify at least one command for the container")
        }
        guard wanted.hasInput || wanted.hasOutput || wanted.hasErrors else {
            throw .badRequest("you must specify at least 1 of stdin, stdout, stderr")
        }
        let upgrade = try upgrade()
        _ = try pipeline.get(key, .durable)
        let versions =
            switch upgrade {
            case .webSocket: ["v5.channel.k8s.io", "v4.channel.k8s.io"]
            case .spdy: [SPDYCommand.version]
            }
        let version = try choose(versions, upgrade)
        let reach = try reach
        let lease = try lease(APIServerLimits.commandFiles)
        let bound = NIOLoopBound(self, eventLoop: response.eventLoop)
        // Bridges the event loop to the node, which starts the command.
        Task { [wanted] in
            let result: Result<any PodCommand, APIError>
            do throws(APIError) {
                result = .success(try await reach.start(wanted))
            } catch {
                result = .failure(error)
            }
            bound.eventLoop.execute {
                let exchange = bound.value
                switch result {
                case .failure(let error): exchange.refuse(error)
                case .success(let command):
                    let isCarried = exchange.leaveHTTP(upgrade, version) { channel in
                        if case .webSocket = upgrade { return WebSocketCommand(channel, command, wanted, lease) }
                        let connection = SPDYConnection(channel)
                        _ = SPDYCommand(connection, command, wanted, lease)
                        return connection
                    }
                    if !isCarried { CommandSession.discard(command) }
                }
            }
        }
    }

    // MARK: Ports

    func runPortForward(_ key: ObjectKey) throws(APIError) {
        let upgrade = try upgrade()
        _ = try pipeline.get(key, .durable)
        let reach = try reach
        let versions =
            switch upgrade {
            // SPDY in the messages of a WebSocket, or streams of its own.
            case .webSocket: ["SPDY/3.1+\(PortForwarding.version)", WebSocketPorts.version]
            case .spdy: [PortForwarding.version]
            }
        let version = try choose(versions, upgrade)
        let ports = version == WebSocketPorts.version ? try wantedPorts() : []
        let files = handler.streamFiles
        leaveHTTP(upgrade, version) { channel in
            if !ports.isEmpty { return WebSocketPorts(channel, ports) { PortForwarding($0, reach, key, files) } }
            let connection = SPDYConnection(channel)
            PortForwarding.serve(connection, reach, key, files)
            return connection
        }
    }

    /// Descriptors for streams; refuses where those who have them have too many.
    private func lease(_ count: Int) throws(APIError) -> Budget.Lease {
        if let lease = handler.streamFiles.lease(count) { return lease }
        throw APIError(
            code: 429, reason: .tooManyRequests, message: "too many commands and forwarded ports at once; end some",
            retryAfterSeconds: 5)
    }

    /// The ports that the query names: `ports=80,443`, also more than once.
    private func wantedPorts() throws(APIError) -> [Int] {
        let words = query.all("ports").flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
        var ports: [Int] = []
        for word in words {
            guard let port = Int(word), (1...65535).contains(port) else {
                throw .badRequest("unable to parse \"\(word)\" as a port: expected a number from 1 to 65535")
            }
            ports.append(port)
        }
        guard (1...WebSocketPorts.most).contains(ports.count) else {
            throw .badRequest("query parameter \"ports\" is required, with at most \(WebSocketPorts.most) ports")
        }
        return ports
    }

    // MARK: The upgrade

    /// The first of `versions` that the client offers.
    private func choose(_ versions: [String], _ upgrade: Upgrade) throws(APIError) -> String {
        let offered =
            switch upgrade {
            case .webSocket(_, let offered), .spdy(let offered): offered
            }
        if let version = versions.first(where: offered.contains) { return version }
        throw APIError(
            code: 403, reason: .forbidden,
            message: "unable to upgrade: unable to negotiate protocol: client supports \(offered), server accepts "
                + "\(versions)")
    }

    /// Answers 101 and hands the connection to `handler`, which hears messages of a WebSocket or the bytes of SPDY. False
    /// where the client has gone.
    @discardableResult
    private func leaveHTTP(
        _ upgrade: Upgrade, _ version: String, _ handler: (any Channel) -> any ChannelHandler
    ) -> Bool {
        var headers: HTTPHeaders = ["Connection": "Upgrade"]
        switch upgrade {
        case .webSocket(let key, _):
            let proof = Insecure.SHA1.hash(data: Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
            headers.add(name: "Upgrade", value: "websocket")
            headers.add(name: "Sec-WebSocket-Accept", value: Base64.encode(Array(proof)))
            headers.add(name: "Sec-WebSocket-Protocol", value: version)
        case .spdy:
            headers.add(name: "Upgrade", value: "SPDY/3.1")
            headers.add(name: "X-Stream-Protocol-Version", value: version)
        }
        return response.upgrade(headers) { channel in
            var handlers: [any ChannelHandler] = []
            if case .webSocket = upgrade { handlers = WebSocketMessages.handlers() }
            return handlers + [handler(channel)]
        }
    }
}
