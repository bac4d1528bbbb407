/// A frame of SPDY/3.1, as kubectl's older streams and its port forwarding use it (the SPDY Protocol, Draft 3.1). What
/// nobody there sends or heeds (settings, credentials, windows) is `ignored`.
package enum SPDYFrame: Sendable, Equatable {
    /// A name and a value, as sent: names are in lower case.
    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    case open(stream: UInt32, headers: [Header], isLast: Bool)
    case reply(stream: UInt32, headers: [Header], isLast: Bool)
    case data(stream: UInt32, bytes: [UInt8], isLast: Bool)
    case reset(stream: UInt32, status: UInt32)
    case ping(UInt32)
    case goAway(lastStream: UInt32)
    case ignored
}

/// What is no SPDY/3.1. The connection cannot go on: the compressed headers of both sides depend on all before them.
package struct SPDYError: Error, Sendable, Equatable {
    package var message: String
}

private enum FrameType: UInt16 {
    case open = 1
    case reply = 2
    case reset = 3
    case ping = 6
    case goAway = 7
    case headers = 8
}

/// Frames from bytes as they come, however they are cut.
package struct SPDYFrameReader: ~Copyable {
    /// A frame's bytes behind its head.
    package static let frameBytes = 1 << 20

    private var buffer: [UInt8] = []
    private var position = 0
    private var headers = SPDYHeaderReader()

    package init() {}

    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if position == buffer.count {
            buffer.removeAll(keepingCapacity: true)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole frame; `nil` where its end has not come yet.
    package mutating func next() throws(SPDYError) -> SPDYFrame? {
        guard buffer.count - position >= 8 else { return nil }
        let length = Int(integer(at: position + 4) & 0xFF_FFFF)
        guard length <= Self.frameBytes else {
            throw SPDYError(message: "a frame of \(length) bytes; expected at most \(Self.frameBytes)")
        }
        guard buffer.count - position >= 8 + length else { return nil }
        let head = integer(at: position)
        let isLast = buffer[position + 4] & 1 != 0
        let body = buffer[position + 8..<position + 8 + length]
        position += 8 + length
        if position > 1 << 16 {
            buffer.removeFirst(position)
            position = 0
        }
        if head >> 31 == 0 { return .data(stream: head, bytes: Array(body), isLast: isLast) }
        guard head >> 16 & 0x7FFF == 3 else {
            throw SPDYError(message: "expected SPDY version 3, found \(head >> 16 & 0x7FFF)")
        }
        return try control(UInt16(truncatingIfNeeded: head), Array(body), isLast)
    }

    private mutating func control(_ type: UInt16, _ body: [UInt8], _ isLast: Bool) throws(SPDYError) -> SPDYFrame {
        guard let type = FrameType(rawValue: type) else { return .ignored }
        let fixed =
            switch type {
            case .open: 10
            case .reply, .headers, .ping: 4
            case .reset, .goAway: 8
            }
        guard body.count >= fixed else { throw SPDYError(message: "a frame that is cut short") }
        let first = Self.integer(body, 0) & (type == .ping ? .max : 0x7FFF_FFFF)
        switch type {
        case .open:
            return .open(stream: first, headers: try headers.read(Array(body[10...])), isLast: isLast)
        case .reply: return .reply(stream: first, headers: try headers.read(Array(body[4...])), isLast: isLast)
        case .headers:
            _ = try headers.read(Array(body[4...]))  // read, because what follows is compressed with it in mind
            return .ignored
        case .reset: return .reset(stream: first, status: Self.integer(body, 4))
        case .ping: return .ping(first)
        case .goAway: return .goAway(lastStream: first)
        }
    }

    private func integer(at index: Int) -> UInt32 { Self.integer(buffer, index) }

    private static func integer(_ bytes: [UInt8], _ index: Int) -> UInt32 {
        bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// Bytes from frames.
package struct SPDYFrameWriter: ~Copyable {
    private var headers = SPDYHeaderWriter()

    package init() {}

    package mutating func bytes(_ frame: SPDYFrame) -> [UInt8] {
        switch frame {
        case .open(let stream, let list, let isLast):
            Self.control(.open, isLast, Self.bytes(stream) + Self.bytes(0) + [0, 0] + headers.bytes(list))
        case .reply(let stream, let list, let isLast):
            Self.control(.reply, isLast, Self.bytes(stream) + headers.bytes(list))
        case .data(let stream, let bytes, let isLast):
            Self.bytes(stream) + Self.length(bytes.count, isLast) + bytes
        case .reset(let stream, let status): Self.control(.reset, false, Self.bytes(stream) + Self.bytes(status))
        case .ping(let number): Self.control(.ping, false, Self.bytes(number))
        case .goAway(let stream): Self.control(.goAway, false, Self.bytes(stream) + Self.bytes(0))
        case .ignored: []
        }
    }

    private static func control(_ type: FrameType, _ isLast: Bool, _ body: [UInt8]) -> [UInt8] {
        bytes(0x8003_0000 | UInt32(type.rawValue)) + length(body.count, isLast) + body
    }

    private static func length(_ count: Int, _ isLast: Bool) -> [UInt8] {
        bytes((isLast ? 0x0100_0000 : 0) | UInt32(count))
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
