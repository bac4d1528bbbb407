import Gateway
import NIOCore
import Testing

/// What the proxy does with requests and responses, against real sockets.
@Suite(.timeLimit(.minutes(1))) struct ProxyTests {
    @Test func passesRequestAndResponseOn() async throws {
        let server = try await ScriptedServer.start { wire in
            let head = try await wire.read(until: "\r\n\r\n")
            try await wire.send(
                "HTTP/1.1 200 Fine\r\nContent-Length: \(head.utf8.count)\r\nConnection: keep-alive, x-private\r\nX-Private: 1\r\n"
                    + "Keep-Alive: timeout=5\r\nX-Kept: yes\r\n\r\n\(head)")
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            let (head, body) = try await wire.get(
                "/p?q=r",
                more:
                    "Connection: X-Mine\r\nX-Mine: 1\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nTE: trailers\r\nAccept: a\r\n"
            )
            #expect(head == "HTTP/1.1 200 Fine\r\nContent-Length: \(body.utf8.count)\r\nX-Kept: yes\r\n\r\n")
            #expect(
                body == "GET /p?q=r HTTP/1.1\r\nHost: a.test\r\nAccept: a\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n"
                    + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n\r\n")
        }
        await server.stop()
    }

    @Test func keepsBothConnectionsAlive() async throws {
        let server = try await ScriptedServer.start(answering("one"))
        try await withProxy(loops: 1) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            for _ in 0..<50 { #expect(try await wire.get().body == "one") }
            #expect(server.connections == 1)
            let statistics = try await proxy.proxy.statistics()
            #expect(statistics.backends["n/b:80"]?.counters.requests == 50)
            #expect(statistics.backends["n/b:80"]?.counters.statuses == [0, 50, 0, 0, 0])
            #expect(statistics.backends["n/b:80"]?.inFlight == 0)
        }
        await server.stop()
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        let server = try await ScriptedServer.start { wire in
            while true {
                let path = try await wire.read(until: "\r\n\r\n").split(separator: " ")[1]
                try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(path.utf8.count)\r\n\r\n\(path)")
            }
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send((0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: a.test\r\n\r\n" }.joined())
            for number in 0..<20 { #expect(try await wire.readResponse().body == "/\(number)") }
        }
        await server.stop()
    }

    @Test func streamsBothWaysAsItComes() async throws {
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<3 {
                let chunk = try await wire.read(until: "\r\n") + (try await wire.read(until: "\r\n"))
                try await wire.send(chunk)
            }
            _ = try await wire.read(until: "0\r\n\r\n")
            try await wire.send("0\r\n\r\n")
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(
                try await wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"))
            for word in ["one", "two", "six"] {
                try await wire.send("3\r\n\(word)\r\n")
                #expect(try await wire.read(until: "\(word)\r\n") == "3\r\n\(word)\r\n")
            }
            try await wire.send("0\r\n\r\n")
            #expect(try await wire.read(until: "0\r\n\r\n") == "0\r\n\r\n")
        }
        await server.stop()
    }

    @Test func passesLargeBodiesOnWhole() async throws {
        let size = 5_000_000
        let server = try await ScriptedServer.start { wire in
            while true {
                _ = try await wire.read(until: "\r\n\r\n")
                let body = try await wire.read(count: size)
                try await wire.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8) + body)
            }
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            for _ in 0..<2 {
                async let sent: Void = wire.send(
                    Array("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \(size)\r\n\r\n".utf8) + body)
                _ = try await wire.read(until: "\r\n\r\n")
                #expect(try await wire.read(count: size) == body)
                try await sent
            }
        }
        await server.stop()
    }

    @Test func endsABodyThatEndsWithItsConnection() async throws {
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.0 200 OK\r\n\r\nto the end")
            wire.close()
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            // HTTP/1.1: in chunks, and the connection stays.
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            #expect(try await wire.read(until: "\r\n\r\n").contains("Transfer-Encoding: chunked"))
            #expect(try await wire.read(until: "0\r\n\r\n").contains("to the end"))
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            #expect(try await wire.read(until: "0\r\n\r\n").contains("to the end"))
            // HTTP/1.0: as it is, until the connection closes.
            let old = try await proxy.connect()
            try await old.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
            #expect(await old.readToEnd().hasSuffix("\r\n\r\nto the end"))
        }
        await server.stop()
    }

    @Test func takesChunksApartForHTTP10() async throws {
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x\r\ndefg\r\n0\r\n\r\n")
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n")
            let answer = await wire.readToEnd()
            #expect(answer.hasSuffix("\r\n\r\nabcdefg") && !answer.contains("Transfer-Encoding"))
        }
        await server.stop()
    }

    @Test func knowsResponsesWithoutABody() async throws {
        let server = try await ScriptedServer.start { wire in
            while true {
                let head = try await wire.read(until: "\r\n\r\n")
                if head.hasPrefix("HEAD") {
                    try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                } else if head.contains("/304") {
                    try await wire.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
                } else {
                    try await wire.send("HTTP/1.1 204 No Content\r\n\r\n")
                }
            }
        }
        try await withProxy(loops: 1) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            for _ in 0..<3 {
                try await wire.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                #expect(try await wire.read(until: "\r\n\r\n") == "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                try await wire.send("GET /304 HTTP/1.1\r\nHost: a.test\r\n\r\n")
                #expect(try await wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 304"))
                try await wire.send("GET /204 HTTP/1.1\r\nHost: a.test\r\n\r\n")
                #expect(try await wire.read(until: "\r\n\r\n") == "HTTP/1.1 204 No Content\r\n\r\n")
            }
            #expect(server.connections == 1)
        }
        await server.stop()
    }

    @Test func passesInterimResponsesOn() async throws {
        let server = try await ScriptedServer.start { wire in
            #expect(try await wire.read(until: "\r\n\r\n").contains("Expect: 100-continue"))
            try await wire.send("HTTP/1.1 100 Continue\r\n\r\n")
            _ = try await wire.read(count: 4)
            try await wire.send(
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await wire.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await wire.send("body")
            #expect(try await wire.read(until: "\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
            #expect(try await wire.readResponse().body == "ok")
        }
        await server.stop()
    }

    @Test func tunnelsAfterAnUpgrade() async throws {
        let server = try await ScriptedServer.start { wire in
            let head = try await wire.read(until: "\r\n\r\n")
            #expect(head.contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"))
            try await wire.send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
            while true { try await wire.send("echo " + (try await wire.read(until: "\n"))) }
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send(
                "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly\n"
            )
            let head = try await wire.read(until: "\r\n\r\n")
            #expect(
                head.hasPrefix("HTTP/1.1 101") && head.contains("Upgrade: websocket\r\n")
                    && head.contains("Connection: Upgrade\r\n"))
            #expect(try await wire.read(until: "\n") == "firstecho early\n")
            try await wire.send("x\n")
            #expect(try await wire.read(until: "\n") == "echo x\n")
            // A table without the route does not disturb it.
            try await proxy.serve([String]()) { $0 = RoutingTable() }
            try await wire.send("y\n")
            #expect(try await wire.read(until: "\n") == "echo y\n")
            wire.close()
        }
        await server.stop()
    }

    @Test(arguments: ["h2c", "websocket, H2C", "h2c ,x"]) func passesNoUpgradeToHTTP2On(_ offer: String) async throws {
        let server = try await ScriptedServer.start { wire in
            let head = try await wire.read(until: "\r\n\r\n")
            let isClean = !head.contains("Upgrade") && !head.contains("HTTP2-Settings")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(isClean ? 1 : 0)")
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            let answer = try await wire.get(
                more: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: \(offer)\r\nHTTP2-Settings: AAA\r\n")
            #expect(answer.body == "1")
        }
        await server.stop()
    }

    @Test func waitsForTheAnswerAfterTheClientClosedItsSide() async throws {
        let server = try await ScriptedServer.start(answering("late"))
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            try await wire.closeOutput()
            #expect(await wire.readToEnd().hasSuffix("late"))
        }
        await server.stop()
    }

    @Test func stopsReadingWhatTheClientDoesNotTake() async throws {
        let sent = Counter()
        let server = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            let block = [UInt8](repeating: 120, count: 1_000_000)
            for _ in 0..<1000 {
                try await wire.send(block)
                sent.add(block.count)
            }
        }
        try await withProxy(loops: 1) { proxy in
            try await proxy.serve([server.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            _ = try await wire.read(count: 100_000)
            try await wire.setReading(false)
            // Other clients are served while this one is stuck, and the stuck one costs socket buffers only.
            let other = try await ScriptedServer.start(answering("free"))
            try await proxy.serve([other.endpoint])
            var last = -1
            var rounds = 0
            while sent.value != last || rounds < 200 {
                last = sent.value
                rounds += 1
                #expect(try await (try await proxy.connect()).get().body == "free")
                if rounds > 5000 { break }
            }
            #expect(sent.value < 200_000_000)
            try await wire.setReading(true)
            _ = try await wire.read(count: 20_000_000)
            wire.close()
            await other.stop()
        }
        await server.stop()
    }
}
