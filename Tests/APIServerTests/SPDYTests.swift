import Testing

@testable import APIServer

@Suite("Frames of SPDY/3.1")
struct SPDYTests {
    private static let frames: [SPDYFrame] = [
        .open(
            stream: 1, headers: [.init("streamtype", "error"), .init("port", "80"), .init("requestid", "0")],
            isLast: true),
        .open(stream: 3, headers: [.init("streamtype", "data"), .init("port", "80")], isLast: false),
        .reply(stream: 1, headers: [], isLast: false),
        .data(stream: 3, bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8), isLast: false),
        .data(stream: 3, bytes: [UInt8](repeating: 7, count: 70_000), isLast: true),
        .data(stream: 1, bytes: [], isLast: true), .ping(1), .reset(stream: 3, status: 5), .goAway(lastStream: 3),
        .reply(stream: 3, headers: [.init("a", String(repeating: "long ", count: 2000))], isLast: true),
    ]

    private func written(_ frames: [SPDYFrame]) -> [UInt8] {
        var writer = SPDYFrameWriter()
        var bytes: [UInt8] = []
        for frame in frames { bytes += writer.bytes(frame) }
        return bytes
    }

    @Test func theDictionaryIsTheOneOfTheProtocol() {
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in SPDYDictionary.bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        #expect(high << 16 | low == 0xe3c6_a7c2)
        #expect(SPDYDictionary.bytes.count == 1423)
    }

    /// As the bytes come: all at once, one by one, and in pieces of a strange size.
    @Test(arguments: [Int.max, 1, 1021]) func framesAreReadAsTheyWereWritten(piece: Int) throws {
        let bytes = written(Self.frames)
        var reader = SPDYFrameReader()
        var found: [SPDYFrame] = []
        var position = 0
        while position < bytes.count {
            let end = min(bytes.count, position + min(piece, bytes.count))
            reader.append(bytes[position..<end])
            position = end
            while let frame = try reader.next() { found.append(frame) }
        }
        #expect(found == Self.frames)
    }

    /// What a client sends first: the head of the compressed headers names the dictionary.
    @Test func headersBeginWithTheDictionaryTheyAreCompressedWith() {
        let bytes = written([.open(stream: 1, headers: [.init("a", "b")], isLast: false)])
        #expect(bytes[18] == 0x78)
        #expect(Array(bytes[20..<24]) == [0xe3, 0xc6, 0xa7, 0xc2])
    }

    @Test func framesOfKindsNobodyHeedsArePassedOver() throws {
        var reader = SPDYFrameReader()
        let settings: [UInt8] = [0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]
        let window: [UInt8] = [0x80, 3, 0, 9, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 1, 0]
        reader.append(settings + window + [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9])
        #expect(try reader.next() == .ignored)
        #expect(try reader.next() == .ignored)
        #expect(try reader.next() == .ping(9))
        #expect(try reader.next() == nil)
    }

    static let broken: [(what: String, bytes: [UInt8])] = [
        ("another version", [0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]),
        ("a frame that is too large", [0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF]),
        ("a ping without its number", [0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0]),
        ("a stream without its number", [0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1]),
        ("headers that are not compressed", [0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4]),
        ("headers that are missing", [0x80, 3, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1]),
    ]

    @Test(arguments: broken) func whatIsBrokenIsRefused(_ broken: (what: String, bytes: [UInt8])) {
        var reader = SPDYFrameReader()
        reader.append(broken.bytes)
        #expect(throws: SPDYError.self, "\(broken.what)") { try reader.next() }
    }

    /// A few kilobytes that would unpack to a hundred times as much.
    @Test func headersThatWouldFillTheMemoryAreRefused() {
        var reader = SPDYFrameReader()
        let text = String(repeating: "a", count: 1 << 20)
        reader.append(written([.open(stream: 1, headers: [.init("a", text)], isLast: false)]))
        #expect(throws: SPDYError.self) { try reader.next() }
    }
}
