import Gateway
import Testing

/// Heads that are refused, heads that are taken, and bytes that are neither.
@Suite struct HTTPParserTests {
    enum Outcome: Equatable {
        case incomplete
        case accepted(length: Int)
        case refused(Int)
    }

    static func request(_ text: String) -> Outcome {
        parse(Array(text.utf8)) { head, bytes, length throws(HTTPViolation) in
            try head.parse(bytes, length: length)
        }
    }

    static func parse(
        _ bytes: [UInt8], _ body: (inout RequestHead, UnsafeRawBufferPointer, Int) throws(HTTPViolation) -> Void
    ) -> Outcome {
        bytes.withUnsafeBytes { pointer in
            var scan = HeadScan()
            var head = RequestHead()
            do throws(HTTPViolation) {
                guard let length = try scan.end(in: pointer) else { return .incomplete }
                try body(&head, pointer, length)
                return .accepted(length: length)
            } catch { return .refused(error.status) }
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x?y=z HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\n",
        "GET http://a.test/x HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost:a\r\nTRANSFER-ENCODING:\t Chunked \r\n\r\n",
        "GET /compare/a...b HTTP/1.1\r\nHost: [::1]:80\r\nX-Empty:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
    ])
    func accepts(_ text: String) {
        #expect(Self.request(text) == .accepted(length: text.utf8.count))
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400),  // no Host
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501),
        ("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\nHost: a\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /x/%2e%2E/y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /x/. HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /x/..\\y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://a.test HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
    ])
    func refuses(_ text: String, _ status: Int) {
        #expect(Self.request(text) == .refused(status))
    }

    /// A name cannot be longer, and looking for wildcards above one of thousands of labels takes a second.
    @Test func refusesALongHost() {
        let name = String(repeating: "a.", count: 200)
        #expect(Self.request("GET / HTTP/1.1\r\nHost: \(name)\r\n\r\n") == .refused(400))
        #expect(Self.request("GET http://\(name)/ HTTP/1.1\r\nHost: a\r\n\r\n") == .refused(400))
    }

    @Test func refusesTooMuch() {
        let long = "GET /\(String(repeating: "x", count: GatewayLimits.headBytes)) HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(Self.request(long) == .refused(431))
        let many = (0...GatewayLimits.headerFields).map { "X-\($0): y\r\n" }.joined()
        #expect(Self.request("GET / HTTP/1.1\r\nHost: a\r\n\(many)\r\n") == .refused(431))
    }

    /// However the bytes are cut, the scan finds the same end.
    @Test func findsTheEndHoweverCut() throws {
        let text = Array("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nrest".utf8)
        for cut in 0...text.count {
            var scan = HeadScan()
            let first = try Array(text[..<cut]).withUnsafeBytes { try scan.end(in: $0) }
            let end = try first ?? text.withUnsafeBytes { try scan.end(in: $0) }
            #expect(end == text.count - 4)
        }
    }

    /// Mutated heads never trap, and what is accepted is a head.
    @Test func survivesMutation() {
        var generator = Seeded(state: 7)
        let seeds = [
            "GET /a/b?c=d HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x, close\r\n\r\n",
            "GET http://h:1/%2e HTTP/1.0\r\nContent-Length: 12\r\nUpgrade: websocket\r\n\r\n",
        ].map { Array($0.utf8) }
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = seeds[generator.below(seeds.count)]
            for _ in 0..<(1 + generator.below(4)) {
                let place = generator.below(bytes.count)
                switch generator.below(4) {
                case 0: bytes[place] = UInt8(generator.below(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert([13, 10, 32, 58, 0, 9, 255][generator.below(7)], at: place)
                default: bytes.append(contentsOf: bytes[place...])
                }
            }
            let outcome = Self.parse(bytes) { head, pointer, length throws(HTTPViolation) in
                try head.parse(pointer, length: length)
            }
            if case .accepted(let length) = outcome {
                accepted += 1
                #expect(bytes[..<length].suffix(4).elementsEqual([13, 10, 13, 10]))
            }
        }
        #expect(accepted > 1000)
    }
}

/// A small generator with a seed, so that a failure can be had again.
struct Seeded {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
