import Documents
import Node
import Testing

/// Messages, names and what they stand for, without a network.
struct DNSTests {
    static func query(_ name: String, _ type: DNSType, size: UInt16? = nil) throws -> [UInt8] {
        let name = try #require(DNSName(name))
        var message: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, size == nil ? 0 : 1]
        for label in name.labels { message += [UInt8(label.count)] + label }
        message += [0, UInt8(type.rawValue >> 8), UInt8(type.rawValue & 255), 0, 1]
        if let size { message += [0, 0, 41, UInt8(size >> 8), UInt8(size & 255), 0, 0, 0, 0, 0, 0] }
        return message
    }

    static func read(_ message: [UInt8]) throws -> DNSQuery {
        guard case .query(let query) = DNSQuery.read(message) else { throw TestFailure("no query: \(message)") }
        return query
    }

    // MARK: Messages

    @Test func aQuestionIsReadAndAnswered() throws {
        let query = try Self.read(Self.query("Web.Team-A.svc.cluster.local", .a, size: 4096))
        #expect(query.name == DNSName("web.team-a.svc.cluster.local") && query.type == .a)
        #expect(query.datagramBytes == 1232 && query.isRecursionDesired)
        let record = DNSRecord(query.name, .a, [10, 96, 8, 7])
        let answer = try DNSAnswer(query.answer(.noError, [record]))
        #expect(answer.id == 0x1234 && answer.name == query.name && answer.answers == [record] && !answer.isTruncated)
    }

    @Test func whatDoesNotFitIsCut() throws {
        let query = try Self.read(Self.query("a.b", .a))
        let records = (0..<60).map { DNSRecord(query.name, .a, [10, 0, 0, $0]) }
        let message = query.answer(.noError, records, limit: query.datagramBytes)
        let answer = try DNSAnswer(message)
        #expect(message.count <= 512 && answer.isTruncated && answer.answers.count > 20)
        #expect(try DNSAnswer(query.answer(.noError, records)).answers.count == 60)
    }

    @Test func pointersThatTurnInACircleEnd() throws {
        for pointer: UInt8 in [12, 13, 14, 15, 40, 255] {
            let message: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0xC0, pointer, 0, 1, 0, 1]
            if case .query(let query) = DNSQuery.read(message) { Issue.record("\(pointer): \(query.name)") }
        }
        // A pointer to the question's name in an answer is what they are for.
        let name: [UInt8] = [1, 97, 1, 98, 0]
        let message: [UInt8] =
            [0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0] + name + [
                0, 1, 0, 1, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4,
            ]
        #expect(try DNSAnswer(message).answers == [DNSRecord(#require(DNSName("a.b")), .a, [1, 2, 3, 4], seconds: 9)])
    }

    /// Damaged, cut and random messages are refused or read, and end nothing.
    @Test func anyBytesAreRead() throws {
        var generator = SystemRandomNumberGenerator()
        let seeds = try [
            Self.query("web.team-a.svc.cluster.local", .srv, size: 1000),
            Self.read(Self.query("a.b", .a)).answer(
                .noError, [DNSRecord(#require(DNSName("a.b")), .cname, [0xC0, 12])]),
        ]
        for round in 0..<20_000 {
            var message = seeds[round % 2]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                message[Int.random(in: message.indices, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            message = Array(message.prefix(Int.random(in: 1...message.count, using: &generator)))
            if case .query(let query) = DNSQuery.read(message) {
                #expect(query.answer(.noSuchName, limit: 512).count <= 512)
            }
            _ = try? DNSAnswer(message)
        }
    }

    @Test func whatIsNoQuestionIsToldSo() {
        let status: [UInt8] = [7, 7, 0x11, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        #expect(DNSQuery.read(status) == .answer([7, 7, 0x91, 4, 0, 0, 0, 0, 0, 0, 0, 0]))
        #expect(
            DNSQuery.read([7, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .answer([7, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
        #expect(DNSQuery.read([7, 7, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0]) == .ignored)
        #expect(DNSQuery.read([7]) == .ignored)
    }

    // MARK: Names

    static func cluster() -> ClusterNames {
        var names = ClusterNames(ranges: [
            IPv4Range(base: IPv4Address(10, 96, 8, 0), prefix: 21),
            IPv4Range(base: IPv4Address(10, 97, 8, 0), prefix: 21),
        ])
        for change in changes { names.set(change) }
        return names
    }

    static var changes: [Walls.Change] {
        func service(_ name: String, _ spec: JSON, _ labels: JSONObject = [:]) -> Walls.Change {
            let metadata: JSON = ["name": .string(name), "namespace": "team-a", "labels": .object(labels)]
            return Walls.Change(ClusterNames.services, Document(["metadata": metadata, "spec": spec]))
        }
        let http: JSON = [["name": "http", "port": 80], ["name": "dns", "port": 53, "protocol": "UDP"]]
        let landscape: JSONObject = ["app.kubernetes.io/part-of": "shop", "app.kubernetes.io/component": "cart"]
        let slice: JSON = [
            "metadata": ["name": "db-1", "namespace": "team-a", "labels": ["kubernetes.io/service-name": "db"]],
            "endpoints": [
                ["addresses": ["10.97.8.20"], "hostname": "db-0", "conditions": ["ready": true]],
                ["addresses": ["10.97.8.21"], "targetRef": ["name": "db-1"], "conditions": ["ready": false]],
                ["addresses": ["10.97.8.22"], "conditions": [:]],
            ], "ports": [["name": "sql", "port": 5432]],
        ]
        return [
            service("web", ["clusterIP": "10.96.8.7", "ports": http]),
            service("db", ["clusterIP": "None", "ports": [["name": "sql", "port": 5432]]]),
            service("shop-cart", ["clusterIP": "10.96.8.9"], landscape),
            service("mail", ["type": "ExternalName", "externalName": "smtp.example.org"]),
            Walls.Change(ClusterNames.slices, Document(slice)),
        ]
    }

    static func text(_ answer: ClusterNames.Answer?) -> String {
        func text(_ record: DNSRecord) -> String {
            switch record.type {
            case .a: record.data.map(String.init).joined(separator: ".")
            case .srv:
                "\(UInt16(record.data[4]) << 8 | UInt16(record.data[5])) "
                    + record.data.dropFirst(6).map { $0 < 32 ? "." : String(UnicodeScalar($0)) }.joined()
            default: record.data.map { $0 < 32 ? "." : String(UnicodeScalar($0)) }.joined()
            }
        }
        switch answer {
        case .records(let records, _): return records.map(text).joined(separator: ", ")
        case .alias(let name): return "alias \(name)"
        case .noData: return "no data"
        case .noSuchName: return "no such name"
        case nil: return "elsewhere"
        }
    }

    @Test(
        arguments: [
            ("web.team-a.svc.cluster.local", DNSType.a, "10.96.8.7"),
            ("web.team-a.svc.cluster.local", .aaaa, "no data"),
            ("web.team-b.svc.cluster.local", .a, "no such name"), ("nope.team-a.svc.cluster.local", .a, "no such name"),
            ("x.web.team-a.svc.cluster.local", .a, "no such name"), ("web.team-a", .a, "elsewhere"),
            ("example.org", .a, "elsewhere"), ("svc.cluster.local", .a, "no data"),
            ("team-a.svc.cluster.local", .a, "no data"),
            ("cluster.local", .a, "no data"), ("other.cluster.local", .a, "no such name"),
            ("db.team-a.svc.cluster.local", .a, "10.97.8.20, 10.97.8.22"),
            ("db-0.db.team-a.svc.cluster.local", .a, "10.97.8.20"),
            ("db-1.db.team-a.svc.cluster.local", .a, "no such name"),
            ("10-97-8-22.db.team-a.svc.cluster.local", .a, "10.97.8.22"),
            ("mail.team-a.svc.cluster.local", .a, "alias smtp.example.org"),
            ("_http._tcp.web.team-a.svc.cluster.local", .srv, "80 .web.team-a.svc.cluster.local."),
            ("_dns._udp.web.team-a.svc.cluster.local", .srv, "53 .web.team-a.svc.cluster.local."),
            ("_dns._tcp.web.team-a.svc.cluster.local", .srv, "no such name"),
            ("_tcp.web.team-a.svc.cluster.local", .srv, "no data"),
            ("_http._tcp.web.team-a.svc.cluster.local", .a, "no data"),
            (
                "_sql._tcp.db.team-a.svc.cluster.local", .srv,
                "5432 .db-0.db.team-a.svc.cluster.local., 5432 \n10-97-8-22.db.team-a.svc.cluster.local."
            ),
            ("10-97-8-30.team-a.pod.cluster.local", .a, "10.97.8.30"),
            ("10-97-8-30.team-b.pod.cluster.local", .a, "no such name"),
            ("10-97-8-31.team-a.pod.cluster.local", .a, "no such name"),
            ("7.8.96.10.in-addr.arpa", .ptr, ".web.team-a.svc.cluster.local."),
            ("20.8.97.10.in-addr.arpa", .ptr, ".db-0.db.team-a.svc.cluster.local."),
            ("9.9.97.10.in-addr.arpa", .ptr, "no such name"), ("1.1.1.1.in-addr.arpa", .ptr, "elsewhere"),
            ("cart.team-a.svc.cluster.local", .a, "no such name"),
        ] as [(String, DNSType, String)])
    func aNameStandsFor(_ name: String, _ type: DNSType, _ expected: String) throws {
        let answer = Self.cluster().answer(try #require(DNSName(name)), type) {
            $0 == IPv4Address(10, 97, 8, 30) ? "team-a" : nil
        }
        let wanted = expected.replacing("\n", with: ".")
        #expect(Self.text(answer) == wanted)
    }

    @Test func aComponentIsKnownToItsLandscape() throws {
        let name = try #require(DNSName("cart.team-a.svc.cluster.local"))
        let asker = ClusterNames.Asker(namespace: "team-a", partOf: "shop")
        #expect(Self.text(Self.cluster().answer(name, .a, asker: asker)) == "10.96.8.9")
        let other = ClusterNames.Asker(namespace: "team-a", partOf: "bank")
        #expect(Self.text(Self.cluster().answer(name, .a, asker: other)) == "no such name")
    }

    // MARK: resolv.conf

    @Test func theFileFollowsThePolicy() {
        let host = "nameserver 127.0.0.53\nsearch corp.example\noptions edns0 trust-ad\n"
        func text(_ spec: JSON) -> String {
            PodResolverConfiguration.text(spec, namespace: "team-a", resolver: IPv4Address(10, 97, 8, 1), host: host)
        }
        #expect(
            text([:]) == """
                nameserver 10.97.8.1
                search team-a.svc.cluster.local svc.cluster.local cluster.local corp.example
                options ndots:5

                """)
        #expect(
            text(["dnsPolicy": "Default"])
                == "nameserver 10.97.8.1\nsearch corp.example\noptions edns0 trust-ad\n")
        let own: JSON = [
            "nameservers": ["192.0.2.53", "bad\nnameserver 6.6.6.6"], "searches": ["a.example", "b c"],
            "options": [["name": "ndots", "value": "2"], ["name": "use-vc"]],
        ]
        #expect(
            text(["dnsPolicy": "None", "dnsConfig": own])
                == "nameserver 192.0.2.53\nsearch a.example\noptions ndots:2 use-vc\n")
        #expect(text(["dnsConfig": own]).contains("options ndots:2 use-vc\n"))
        #expect(PodResolverConfiguration.servers(host: host) == ["127.0.0.53"])
    }
}
