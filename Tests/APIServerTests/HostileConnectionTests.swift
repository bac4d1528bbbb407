import Documents
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Synchronization
import Testing

@testable import APIServer

/// What one connection may cost, however its client behaves: time from the event loop, nothing real.
@Suite struct HostileConnectionTests {
    private final class Handler: HTTPRequestHandler {
        let handled = Mutex(0)

        func authenticate(_ head: HTTPRequestHead) -> Result<Identity, APIError> {
            .success(Identity(user: "test", groups: []))
        }

        func refuse(_ error: APIError, _ head: HTTPRequestHead, response: ResponseWriter) { response.send(error) }

        func handle(_ request: HTTPRequest, from identity: Identity, response: ResponseWriter) {
            handled.withLock { $0 += 1 }
            response.send(.ok, [:], ByteBuffer(string: "\(request.body.readableBytes) bytes"))
        }
    }

    private struct Connection {
        let channel = EmbeddedChannel()
        let handler = Handler()

        init(_ limits: HTTPListener.Limits = .init(), budget: Budget = Budget(1 << 30)) throws {
            let pipeline = channel.pipeline.syncOperations
            try HTTPConnectionHandler.install(on: pipeline, handler: handler, limits: limits, budget: budget)
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }

        var handled: Int { handler.handled.withLock { $0 } }

        func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

        /// A byte a second.
        func trickle(seconds: Int) throws {
            for _ in 0..<seconds {
                channel.embeddedEventLoop.advanceTime(by: .seconds(1))
                try send("x")
            }
        }

        func received() throws -> String {
            var text = ""
            while case .byteBuffer(let bytes)? = try channel.readOutbound(as: IOData.self) {
                text += String(buffer: bytes)
            }
            return text
        }

        /// The status code and the message of the Status that was answered.
        func refusal() throws -> (status: Substring, message: String) {
            let answer = try received()
            let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1)
            guard parts.count == 2 else { return (answer.prefix(12).suffix(3), "no body") }
            let body = try JSONParser.parse(Array(parts[1].utf8))
            #expect(body["kind"] == "Status")
            return (answer.prefix(12).suffix(3), body["message"]?.stringValue ?? "")
        }
    }

    @Test func aBodyHasItsTimeHoweverOftenAByteOfItComes() throws {
        let connection = try Connection()
        try connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        try connection.trickle(seconds: 59)
        #expect(try connection.received() == "")
        connection.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(try connection.refusal() == ("408", "the body of the request did not come in time"))
        connection.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!connection.channel.isActive)
        #expect(connection.handled == 0)
    }

    @Test func aHeadHasItsTime() throws {
        let connection = try Connection()
        try connection.send("GET /")
        try connection.trickle(seconds: 29)
        #expect(connection.channel.isActive)
        connection.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!connection.channel.isActive)
    }

    @Test func allBodiesTogetherHaveALimit() throws {
        let budget = Budget(100)
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n"
        let body = String(repeating: "x", count: 90)
        let first = try Connection(budget: budget)
        try first.send(head + body.dropLast())
        let second = try Connection(budget: budget)
        try second.send(head + body)
        let refusal = try second.refusal()
        #expect(refusal == ("429", "too many large requests at once; please try again"))
        // Room comes back when a body is complete, and when its client goes.
        try first.send("x")
        #expect(try first.received().hasSuffix("90 bytes"))
        let third = try Connection(budget: budget)
        try third.send(head + body.dropLast())
        third.channel.pipeline.fireChannelInactive()
        let fourth = try Connection(budget: budget)
        try fourth.send(head + body)
        #expect(try fourth.received().hasSuffix("90 bytes"))
    }

    @Test func theBodyOfAReadIsNotKept() throws {
        var limits = HTTPListener.Limits()
        limits.bodyBytes = 10
        let connection = try Connection(limits, budget: Budget(0))
        try connection.send("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<100 { try connection.send("5\r\nxxxxx\r\n") }
        try connection.send("0\r\n\r\n")
        #expect(try connection.received().hasSuffix("0 bytes"))
    }

    @Test func anEncodedBodyIsRefusedFromItsHead() throws {
        let connection = try Connection()
        try connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n")
        #expect(try connection.refusal() == ("415", "expected a body without Content-Encoding, found \"gzip\""))
    }

    @Test func whatIsNoRequestIsToldSo() throws {
        let many = try Connection()
        try many.send(
            "GET / HTTP/1.1\r\n" + (0..<300).map { "x-\($0): y\r\n" }.joined() + "\r\n")
        #expect(try many.refusal().status == "431")
        let noise = try Connection()
        try noise.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        #expect(try noise.refusal().status == "400")
        // In the middle of a body too.
        let piece = try Connection()
        try piece.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        #expect(try piece.refusal().status == "400")
        for connection in [many, noise, piece] {
            connection.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(!connection.channel.isActive && connection.handled == 0)
        }
    }

    @Test func aRefusedRequestIsReadOnForAWhile() throws {
        var limits = HTTPListener.Limits()
        limits.bodyBytes = 10
        let connection = try Connection(limits)
        try connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        #expect(try connection.refusal().status == "413")
        try connection.send("xxxxx")
        #expect(connection.channel.isActive)
        connection.channel.embeddedEventLoop.advanceTime(by: .milliseconds(500))
        #expect(!connection.channel.isActive)
    }
}
