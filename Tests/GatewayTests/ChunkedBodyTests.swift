import Gateway
import Testing

@Suite struct ChunkedBodyTests {
    /// What a body was read as: its content, how many bytes it took, whether it ended. `nil` where it is refused.
    static func read(_ bytes: [UInt8], cut: Int? = nil) -> (content: [UInt8], taken: Int, isDone: Bool)? {
        var body = ChunkedBody()
        var content: [UInt8] = []
        var taken = 0
        let parts = cut.map { [bytes[..<$0], bytes[$0...]] } ?? [bytes[...]]
        for part in parts {
            let part = Array(part)
            do {
                let count = try part.withUnsafeBytes { pointer throws(HTTPViolation) in
                    try body.consume(pointer) { content += part[$0] }
                }
                taken += count
                if count < part.count { break }
            } catch { return nil }
        }
        return (content, taken, body.isDone)
    }

    @Test(arguments: [
        ("0\r\n\r\n", ""), ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\n1;x=y\r\nz\r\n0\r\nT: v\r\n\r\n", "0123456789z"),
        ("003\r\nabc\r\n000\r\n\r\n", "abc"),
    ])
    func readsHoweverCut(_ text: String, _ content: String) throws {
        let bytes = Array((text + "NEXT").utf8)
        for cut in 0...bytes.count {
            let result = try #require(Self.read(bytes, cut: cut))
            #expect(result.content == Array(content.utf8) && result.isDone && result.taken == text.utf8.count)
        }
    }

    @Test(arguments: [
        "\r\n", "g\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n", "3\r\nabc\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\n", "0\r\n\n", "0\r\nT v\r\n\r\n", "0\r\n T: v\r\n\r\n", "FFFFFFFFFFFFFFFF\r\n", "3\r\rabc",
    ])
    func refuses(_ text: String) {
        #expect(Self.read(Array(text.utf8)) == nil)
    }

    @Test func limitsWhatIsNoContent() {
        #expect(Self.read(Array("1;\(String(repeating: "x", count: 2000))\r\n".utf8)) == nil)
        #expect(Self.read(Array("0\r\nT: \(String(repeating: "x", count: 9000))\r\n\r\n".utf8)) == nil)
    }

    @Test func survivesMutation() {
        var generator = Seeded(state: 11)
        let seed = Array("5\r\nhello\r\n1;e=f\r\n!\r\n0\r\nA: b\r\n\r\n".utf8)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<(1 + generator.below(3)) { bytes[generator.below(bytes.count)] = UInt8(generator.below(256)) }
            if let result = Self.read(bytes) { #expect(result.taken <= bytes.count) }
        }
    }
}
