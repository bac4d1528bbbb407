import Gateway
import NIOCore
import Testing

/// Tables that change under load: nothing fails, and shares are what the table says.
@Suite(.timeLimit(.minutes(2))) struct TableSwapTests {
    @Test func splitsByWeight() async throws {
        let first = try await ScriptedServer.start(answering("first"))
        let second = try await ScriptedServer.start(answering("second"))
        try await withProxy { proxy in
            try await proxy.serve([("x", [first.endpoint], 90), ("y", [second.endpoint], 10)])
            let counts = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let wire = try await proxy.connect()
                        for _ in 0..<125 { if try await wire.get().body == "second" { counts.add() } }
                    }
                }
                try await group.waitForAll()
            }
            #expect((180...220).contains(counts.value), "\(counts.value) of 2000")
        }
        await first.stop()
        await second.stop()
    }

    @Test func failsNothingWhileTablesChange() async throws {
        let servers = [
            try await ScriptedServer.start(answering("s0")), try await ScriptedServer.start(answering("s1")),
            try await ScriptedServer.start(answering("s2")),
        ]
        try await withProxy { proxy in
            try await proxy.serve([servers[0].endpoint])
            let (served, failed, stopped) = (Counter(), Counter(), Counter())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let wire = try await proxy.connect()
                        while stopped.value == 0 {
                            do {
                                let answer = try await wire.get()
                                if answer.head.hasPrefix("HTTP/1.1 200") { served.add() } else { failed.add() }
                            } catch { failed.add() }
                        }
                    }
                }
                group.addTask {
                    defer { stopped.add() }
                    for round in 0..<200 {
                        let before = served.value
                        let (one, two) = (servers[round % 3].endpoint, servers[(round + 1) % 3].endpoint)
                        switch round % 4 {
                        case 0: try await proxy.serve([one])
                        case 1: try await proxy.serve([("x", [one], 50), ("y", [two], 50)])
                        case 2: try await proxy.serve([one, two])
                        default: try await proxy.serve([("y", [two], 10), ("z", [one], 90)])
                        }
                        while served.value < before + 5, failed.value == 0 { await Task.yield() }
                    }
                }
                try await group.waitForAll()
            }
            #expect(failed.value == 0)
            #expect(served.value >= 1000)
        }
        for server in servers { await server.stop() }
    }

    /// A request under way on an endpoint that leaves the table ends as if nothing had happened.
    @Test func drainsAnEndpointThatLeaves() async throws {
        let gate = Gate()
        let slow = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow")
            await gate.wait()
            try await wire.send("done")
            #expect(await wire.readToEnd() == "")
        }
        let other = try await ScriptedServer.start(answering("other"))
        try await withProxy(loops: 1) { proxy in
            try await proxy.serve([slow.endpoint])
            let wire = try await proxy.connect()
            try await wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            _ = try await wire.read(until: "slow")
            try await proxy.serve([other.endpoint])
            gate.open()
            #expect(try await wire.read(until: "done") == "done")
            #expect(try await wire.get().body == "other")
            #expect(try await proxy.proxy.statistics().connections == 1)
        }
        await slow.stop()
        await other.stop()
    }

    @Test func routesByHostPathMethodHeaderAndQuery() async throws {
        let server = try await ScriptedServer.start { wire in
            while true {
                let path = try await wire.read(until: "\r\n\r\n").split(separator: " ")[1]
                try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(path.utf8.count)\r\n\r\n\(path)")
            }
        }
        try await withProxy { proxy in
            try await proxy.serve([server.endpoint]) { table in
                let rewrites = ["", "/api", "/exact", "/post", "/beta", "/q", "/wild", "/deep", "/any"]
                table.rules = rewrites.map {
                    var rule = RoutingTable.Rule(name: "n/r/\($0)", backends: [.init(backend: 0, weight: 1)])
                    if !$0.isEmpty { rule.rewrite = .replaceFull($0) }
                    return rule
                }
                table.rules[0].rewrite = .replacePrefix("")
                table.hosts = [
                    .init(
                        name: "a.test",
                        matches: [
                            .init(path: .exact("/api/x"), rule: 2),
                            .init(path: .prefix("/api"), method: "POST", rule: 3),
                            .init(path: .prefix("/api"), headers: [.init(name: "x-beta", value: "1")], rule: 4),
                            .init(path: .prefix("/api"), parameters: [.init(name: "v", value: "2")], rule: 5),
                            .init(path: .prefix("/api"), rule: 1), .init(path: .prefix("/strip"), rule: 0),
                        ]),
                    .init(name: "*.test", matches: [.init(path: .prefix(""), rule: 6)]),
                    .init(name: "*.deep.test", matches: [.init(path: .prefix(""), rule: 7)]),
                    .init(name: "*", matches: [.init(path: .prefix(""), rule: 8)]),
                ]
            }
            let wire = try await proxy.connect()
            for (path, host, more, expected) in [
                ("/api", "a.test", "", "/api"), ("/api/y", "A.Test:80", "", "/api"), ("/apis", "a.test", "", "/wild"),
                ("/api/x", "a.test.", "", "/exact"), ("/api/z", "a.test", "X-Beta: 1\r\n", "/beta"),
                ("/api/z", "a.test", "X-Beta: 2\r\n", "/api"), ("/api?u=1&v=2", "a.test", "", "/q?u=1&v=2"),
                ("/strip/x?y", "a.test", "", "/x?y"), ("/strip", "a.test", "", "/"), ("/strip?y", "a.test", "", "/?y"),
                ("/", "b.test", "", "/wild"), ("/", "x.deep.test", "", "/deep"), ("/", "elsewhere", "", "/any"),
            ] {
                #expect(try await wire.get(path, host: host, more: more).body == expected, "\(host)\(path) \(more)")
            }
            try await wire.send("POST /api/z HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
            #expect(try await wire.readResponse().body == "/post")
        }
        await server.stop()
    }

    @Test func leadsServiceAddressesToEndpoints() async throws {
        let server = try await ScriptedServer.start { wire in
            while true { try await wire.send("echo " + (try await wire.read(until: "\n"))) }
        }
        let half = try await ScriptedServer.start { wire in
            let all = await wire.readToEnd()
            try await wire.send("got \(all)")
            try await wire.closeOutput()
        }
        let port = Int.random(in: 20000..<32000)
        try await withProxy { proxy in
            let failures = try await proxy.serve([server.endpoint]) { table in
                table.backends.append(.init(name: "n/half:1", endpoints: [half.endpoint]))
                table.services = [
                    .init(address: "127.96.1.1", port: port, backend: 0),
                    .init(address: "127.96.1.2", port: port, backend: 1),
                    .init(address: "192.0.2.1", port: port, backend: 0),
                ]
            }
            #expect(failures.map(\.address) == ["192.0.2.1:\(port)"])
            let wire = try await Wire.connect(port, host: "127.96.1.1")
            try await wire.send("a\n")
            #expect(try await wire.read(until: "\n") == "echo a\n")
            let finishing = try await Wire.connect(port, host: "127.96.1.2")
            try await finishing.send("everything")
            try await finishing.closeOutput()
            #expect(await finishing.readToEnd() == "got everything")
            // The address closes with the table; the connection stays.
            try await proxy.serve([server.endpoint])
            try await wire.send("b\n")
            #expect(try await wire.read(until: "\n") == "echo b\n")
            await #expect(throws: (any Error).self) { try await Wire.connect(port, host: "127.96.1.1") }
            wire.close()
        }
        await server.stop()
        await half.stop()
    }

    /// A connection that was given up while it was being made is counted out again: else a service without endpoints,
    /// asked often enough, would use up what all routes have.
    @Test func forgetsConnectionsToAServiceWithoutEndpoints() async throws {
        try await withProxy { proxy in
            try await proxy.serve([String]()) {
                $0.services = [.init(address: "127.0.0.1", port: 30_471, backend: 0)]
            }
            for _ in 0..<50 {
                let wire = try await Wire.connect(30_471)
                _ = await wire.readToEnd()
            }
            #expect(try await proxy.proxy.statistics().connections == 0)
        }
    }
}
