package import Documents
package import NIOCore
package import NIOHTTP1

/// A request as the transport hands it on, whole.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    /// Path and query as they came.
    package var target: String
    package var headers: HTTPHeaders
    package var body: ByteBuffer
}

/// Who asks. Made from the request's credentials before anything else of it is looked at.
package struct Identity: Sendable, Equatable {
    package var user: String
    package var uid: String
    package var groups: [String]
    /// What else is known of the user, by name, in order.
    package var extra: [(name: String, values: [String])] = []

    package init(user: String, uid: String = "", groups: [String]) {
        self.user = user
        self.uid = uid
        self.groups = groups
    }

    package static func == (left: Identity, right: Identity) -> Bool {
        (left.user, left.uid, left.groups) == (right.user, right.uid, right.groups)
            && left.extra.elementsEqual(right.extra) { $0 == $1 }
    }

    /// As reviews show it.
    var json: JSON {
        var user: JSONObject = ["username": .string(self.user)]
        if !uid.isEmpty { user["uid"] = .string(uid) }
        user["groups"] = .array(groups.map(JSON.string))
        if !extra.isEmpty {
            user["extra"] = .object(JSONObject(extra.map { ($0.name, .array($0.values.map(JSON.string))) }))
        }
        return .object(user)
    }
}

/// What stands behind the listener. Both calls come on the connection's event loop and must not block it.
package protocol HTTPRequestHandler: Sendable {
    /// Decides from the head alone whether the body is worth reading.
    func authenticate(_ head: HTTPRequestHead) -> Result<Identity, APIError>

    /// Answers a request that is refused from its head alone.
    func refuse(_ error: APIError, _ head: HTTPRequestHead, response: ResponseWriter)

    /// Answers through `response`, now or later, on the connection's event loop.
    func handle(_ request: HTTPRequest, from identity: Identity, response: ResponseWriter)
}

/// The way back to the client for one request. Belongs to the connection's event loop; every call is made there.
package final class ResponseWriter {
    package let eventLoop: any EventLoop
    private let channel: any Channel
    private let isHead: Bool
    private var keepsAlive: Bool
    private var isStreaming = false
    private var isDone = false
    /// Whether a part of the request is still to come when the answer is given, and is thrown away for a while.
    var lingers = false
    private var waitsForReader = false
    private let onEvent: (Event) -> Void
    private var writabilityObserver: (() -> Void)?
    private var closeObservers: [() -> Void] = []

    /// What the connection hears of its answer.
    enum Event {
        /// The answer is complete, and the client has read too little of it for another one to begin.
        case waitsForReader
        case isDone
        /// The connection leaves HTTP: what it speaks from here on.
        case isUpgraded([any ChannelHandler])
    }

    init(channel: any Channel, isHead: Bool, keepsAlive: Bool, onEvent: @escaping (Event) -> Void) {
        self.channel = channel
        eventLoop = channel.eventLoop
        self.isHead = isHead
        self.keepsAlive = keepsAlive
        self.onEvent = onEvent
    }

    /// The whole answer.
    package func send(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ body: ByteBuffer) {
        if isDone { return }
        var headers = headers
        headers.replaceOrAdd(name: "Content-Length", value: String(body.readableBytes))
        writeHead(status, headers)
        if !isHead, body.readableBytes > 0 {
            channel.write(HTTPServerResponsePart.body(.byteBuffer(body)), promise: nil)
        }
        finish()
    }

    /// Answers 101: from here on the connection belongs to the handlers that `make` makes for it. False, and nothing is
    /// made, where the client has gone.
    package func upgrade(_ headers: HTTPHeaders, to make: (any Channel) -> [any ChannelHandler]) -> Bool {
        if isDone { return false }
        isDone = true
        closeObservers = []
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        guard channel.isActive else { return false }
        onEvent(.isUpgraded(make(channel)))
        return true
    }

    /// Begins an answer whose body follows piece by piece.
    package func begin(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
        if isDone { return }
        isStreaming = true
        var headers = headers
        headers.replaceOrAdd(name: "Transfer-Encoding", value: "chunked")
        writeHead(status, headers)
        channel.flush()
    }

    /// The next piece of a begun answer. Keeps it in memory while the client does not read: ask `isWritable` first.
    package func write(_ bytes: ByteBuffer) {
        if isDone || isHead || bytes.readableBytes == 0 { return }
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
    }

    /// Ends a begun answer.
    package func end() {
        if isDone || !isStreaming { return }
        finish()
    }

    /// Breaks off a begun answer, so that the client does not take what it has for all of it.
    package func abort() {
        if !isDone, isStreaming { channel.close(promise: nil) }
    }

    /// False while the client is behind; `onWritable` is called once it has caught up.
    package var isWritable: Bool { channel.isWritable && !isDone }

    /// False once the answer is complete or the client has gone.
    package var isOpen: Bool { !isDone }

    package func onWritable(_ observer: @escaping () -> Void) { writabilityObserver = observer }

    /// Called once when the client goes away before the answer is complete.
    package func onClose(_ observer: @escaping () -> Void) {
        if isDone { return observer() }
        closeObservers.append(observer)
    }

    func writabilityChanged() {
        if waitsForReader, channel.isWritable {
            waitsForReader = false
            writeEnd()
        } else if isWritable {
            writabilityObserver?()
        }
    }

    func connectionClosed() {
        if isDone { return }
        isDone = true
        let observers = closeObservers
        closeObservers = []
        writabilityObserver = nil
        for observer in observers { observer() }
    }

    private func writeHead(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
        var headers = headers
        if !keepsAlive { headers.replaceOrAdd(name: "Connection", value: "close") }
        channel.write(
            HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)),
            promise: nil)
    }

    private func finish() {
        isDone = true
        closeObservers = []
        writabilityObserver = nil
        if channel.isWritable { return writeEnd() }
        // The connection's next request begins when this answer has ended, and until then it costs nothing. So answers
        // to a client that asks and does not read are one in memory, not all.
        waitsForReader = true
        channel.flush()
        if waitsForReader { onEvent(.waitsForReader) }
    }

    private func writeEnd() {
        let end = channel.writeAndFlush(HTTPServerResponsePart.end(nil))
        if !keepsAlive {
            let delay = lingers ? APIServerLimits.lingerTime : .zero
            let channel = channel
            end.whenComplete { _ in channel.eventLoop.scheduleTask(in: delay) { channel.close(promise: nil) } }
        }
        onEvent(.isDone)
    }
}
