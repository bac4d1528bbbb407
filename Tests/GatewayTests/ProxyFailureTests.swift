import Gateway
import NIOCore
import Seams
import Testing

/// What the proxy answers when something is wrong, and what it tries before it does.
@Suite(.timeLimit(.minutes(1))) struct ProxyFailureTests {
    static var quick: GatewayTimeouts {
        var timeouts = GatewayTimeouts()
        timeouts.tick = .milliseconds(10)
        timeouts.requestHead = .milliseconds(150)
        timeouts.bodyStall = .milliseconds(150)
        timeouts.responseHead = .milliseconds(150)
        timeouts.connectPatience = .milliseconds(100)
        timeouts.linger = .milliseconds(200)
        return timeouts
    }

    /// An endpoint where nobody listens, and nobody will: a free port may be another test's a moment later.
    static let refusing = "127.0.0.1:1"

    @Test func asksForPatienceBeforeTheFirstTable() async throws {
        try await withProxy { proxy in
            let wire = try await proxy.connect()
            let early = try await wire.get()
            #expect(early.head.hasPrefix("HTTP/1.1 503") && early.head.contains("\r\nRetry-After: 1\r\n"))
            try await proxy.serve([String]())
            let later = try await wire.get("/x", host: "other.test")
            #expect(later.head.hasPrefix("HTTP/1.1 404") && !later.head.contains("Retry-After"))
        }
    }

    @Test func saysWhatHasNoRoute() async throws {
        try await withProxy { proxy in
            try await proxy.serve([String]())
            let wire = try await proxy.connect()
            let answer = try await wire.get("/x", host: "Other.Test:8080")
            #expect(answer.head.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
            #expect(answer.body == "no route for host \"other.test\" and path \"/x\"\n")
            // The connection stays good.
            let second = try await wire.get()
            #expect(second.head.hasPrefix("HTTP/1.1 503"))
            #expect(second.body == "backend n/b:80 has no ready endpoint\n")
        }
    }

    @Test func saysWhatBackendIsMissing() async throws {
        try await withProxy { proxy in
            try await proxy.serve([String]()) { $0.backends[0].isMissing = true }
            let answer = try await (try await proxy.connect()).get()
            #expect(answer.head.hasPrefix("HTTP/1.1 500") && answer.body == "backend n/b:80 does not exist\n")
        }
    }

    @Test func triesOtherEndpointsWhereOneRefuses() async throws {
        let server = try await ScriptedServer.start(answering("up"))
        try await withProxy { proxy in
            try await proxy.serve([Self.refusing, server.endpoint])
            let wire = try await proxy.connect()
            for _ in 0..<20 { #expect(try await wire.get().body == "up") }
        }
        await server.stop()
    }

    @Test func waitsALittleForAnEndpointToComeBack() async throws {
        let server = try await ScriptedServer.start(answering("back"))
        try await withProxy { proxy in
            try await proxy.serve([Self.refusing])
            let wire = try await proxy.connect()
            try await wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi")
            try await proxy.serve([server.endpoint])
            #expect(try await wire.readResponse().body == "back")
        }
        await server.stop()
    }

    @Test func answers502WhereNoEndpointAccepts() async throws {
        try await withProxy(timeouts: Self.quick) { proxy in
            try await proxy.serve([Self.refusing])
            let answer = try await (try await proxy.connect()).get()
            #expect(answer.head.hasPrefix("HTTP/1.1 502 Bad Gateway"))
            #expect(answer.body.contains("accepts connections") && answer.body.contains(Self.refusing))
        }
    }

    @Test func sendsAgainWhereAnIdleConnectionHadEnded() async throws {
        // Each connection answers once, says nothing of closing, and closes when the next request is there.
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            _ = try await wire.read(until: "\r\n\r\n")
            wire.close()
        }
        try await withProxy(loops: 1) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            for _ in 0..<10 { #expect(try await wire.get().body == "ok") }
            #expect(server.connections == 10)
            // What must not be sent twice is not.
            try await wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
            #expect(try await wire.readResponse().head.hasPrefix("HTTP/1.1 502"))
        }
        await server.stop()
    }

    @Test func sendsAgainAsOftenAsTheRuleAllows() async throws {
        let attempts = Counter()
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            attempts.add()
            if attempts.value % 3 == 0 { try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
            wire.close()
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint]) { $0.rules[0].retries = 2 }
            let wire = try await proxy.connect()
            #expect(try await wire.get().body == "ok")
            #expect(attempts.value == 3)
            try await proxy.serve([server.endpoint]) { $0.rules[0].retries = 1 }
            #expect(try await wire.get().head.hasPrefix("HTTP/1.1 502"))
            #expect(attempts.value == 5)
        }
        await server.stop()
    }

    @Test func answers502ToNoResponse() async throws {
        for answer in [
            "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\nx",
        ] {
            let server = try await ScriptedServer.start { wire in
                _ = try await wire.read(until: "\r\n\r\n")
                try await wire.send(answer)
                wire.close()
            }
            try await withProxy { proxy in
                try await proxy.serve([server.endpoint])
                let wire = try await proxy.connect()
                #expect(try await wire.get().head.hasPrefix("HTTP/1.1 502"), "\(answer)")
            }
            await server.stop()
        }
    }

    @Test func breaksOffAnAnswerThatWasCutShort() async throws {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        ] {
            let server = try await ScriptedServer.start { wire in
                _ = try await wire.read(until: "\r\n\r\n")
                try await wire.send(answer)
                wire.close()
            }
            try await withProxy { proxy in
                try await proxy.serve([server.endpoint])
                let wire = try await proxy.connect()
                try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                let received = await wire.readToEnd()
                #expect(received.hasPrefix("HTTP/1.1 200 OK") && received.hasSuffix("abc"))
            }
            await server.stop()
        }
    }

    @Test func answers504WhereNoAnswerComes() async throws {
        let server = try await ScriptedServer.start { wire in _ = await wire.readToEnd() }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint]) { $0.rules[0].requestTimeoutMilliseconds = 50 }
            let wire = try await proxy.connect()
            #expect(try await wire.get().head.hasPrefix("HTTP/1.1 504 Gateway Timeout"))
            try await proxy.serve([server.endpoint]) { $0.rules[0].backendTimeoutMilliseconds = 50 }
            #expect(try await wire.get().head.hasPrefix("HTTP/1.1 504 Gateway Timeout"))
        }
        await server.stop()
    }

    @Test func limitsHowLongAHeadAndABodyMayTake() async throws {
        let server = try await ScriptedServer.start { wire in _ = await wire.readToEnd() }
        try await withProxy(timeouts: Self.quick) { proxy in
            try await proxy.serve([server.endpoint])
            let head = try await proxy.connect()
            try await head.send("GET / HTT")
            #expect(await head.readToEnd().hasPrefix("HTTP/1.1 408"))
            let body = try await proxy.connect()
            try await body.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
            #expect(await body.readToEnd().hasPrefix("HTTP/1.1 408"))
        }
        await server.stop()
    }

    /// Bytes behind which a second request could hide: the connection ends, and no endpoint sees what was behind.
    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n Content-Length: 40\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
    ])
    func endsConnectionsThatMaySmuggle(_ text: String) async throws {
        let seen = Counter()
        let server = try await ScriptedServer.start { wire in
            while true {
                if try await wire.read(until: "\r\n\r\n").contains("/hidden") { seen.add() }
                try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
        }
        try await withProxy(timeouts: Self.quick) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send(text + "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n")
            let answer = await wire.readToEnd()
            #expect(answer.contains("Connection: close\r\n") || answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            #expect(seen.value == 0)
        }
        await server.stop()
    }

    @Test func refusesABodyItWillNotRead() async throws {
        try await withProxy(timeouts: Self.quick) { proxy in
            try await proxy.serve([String]())
            let wire = try await proxy.connect()
            try await wire.send(
                "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            let answer = await wire.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 404") && answer.contains("Connection: close\r\n"))
            #expect(!answer.contains("503"))
        }
    }

    @Test func aSlowClientGetsTheWholeLastAnswer() async throws {
        let length = 16 << 20
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n")
            try await wire.send([UInt8](repeating: 0x61, count: length))
        }
        var timeouts = Self.quick
        timeouts.linger = .milliseconds(50)
        try await withProxy(timeouts: timeouts) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await Wire.connect(proxy.port, receiveBuffer: 4096)
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            // Takes in what there is, a piece at a time, and lets the gateway's limit for a refused client pass often.
            _ = try await wire.read(until: "\r\n\r\n")
            var taken = 0
            while taken < length {
                try await wire.setReading(false)
                try await SystemClock().sleep(for: .milliseconds(5))
                try await wire.setReading(true)
                taken += try await wire.read(count: min(64 << 10, length - taken)).count
            }
            #expect(taken == length)
        }
        await server.stop()
    }
}
