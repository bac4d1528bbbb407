/// Follows a chunked body, byte for byte, without changing it: where its data lies and where the body ends. Strict about
/// what may stand between the data, because a proxy and a server that read a chunk line differently disagree about where
/// the next message starts.
package struct ChunkedBody: Sendable {
    private enum State: Sendable, Equatable {
        case size(digits: Int)
        case extensions
        case sizeFeed
        case data
        case dataReturn
        case dataFeed
        /// At the start of a trailer line.
        case trailerStart
        case trailerName
        case trailerValue
        case trailerFeed
        case endFeed
        case done
    }

    private var state = State.size(digits: 0)
    private var remaining = 0
    /// Bytes of the current chunk line or of the trailer section.
    private var lineBytes = 0

    package init() {}

    package var isDone: Bool { state == .done }

    /// Reads on in `bytes` and answers how many belong to the body: all of them until the body ends. `data` is called
    /// with each range of chunk data.
    package mutating func consume(
        _ bytes: UnsafeRawBufferPointer, data: (Range<Int>) -> Void = { _ in }
    ) throws(HTTPViolation) -> Int {
        var position = 0
        while position < bytes.count, state != .done {
            if state == .data {
                let count = min(remaining, bytes.count - position)
                data(position..<(position + count))
                position += count
                remaining -= count
                if remaining == 0 { state = .dataReturn }
            } else {
                try step(bytes[position])
                position += 1
            }
        }
        return position
    }

    private mutating func step(_ byte: UInt8) throws(HTTPViolation) {
        switch state {
        case .size(let digits): try size(byte, digits)
        case .extensions:
            if byte == 0x0D { state = .sizeFeed } else { try countLine(byte) }
        case .sizeFeed:
            try expect(byte, 0x0A)
            lineBytes = 0
            state = remaining == 0 ? .trailerStart : .data
        case .dataReturn:
            try expect(byte, 0x0D)
            state = .dataFeed
        case .dataFeed:
            try expect(byte, 0x0A)
            state = .size(digits: 0)
        case .trailerStart, .trailerName, .trailerValue, .trailerFeed, .endFeed: try trailer(byte)
        case .data, .done: break
        }
    }

    private mutating func size(_ byte: UInt8, _ digits: Int) throws(HTTPViolation) {
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case 0x41...0x46: digit = byte - 0x41 + 10
        case 0x61...0x66: digit = byte - 0x61 + 10
        case 0x0D where digits > 0:
            state = .sizeFeed
            return
        case UInt8(ascii: ";") where digits > 0:
            state = .extensions
            return
        default: throw HTTPViolation(400, "a chunk starts with no size")
        }
        // 15 hexadecimal digits cannot overflow; nobody sends more.
        guard digits < 15 else { throw HTTPViolation(400, "a chunk size is too long") }
        if digits == 0 { remaining = 0 }
        remaining = remaining << 4 | Int(digit)
        state = .size(digits: digits + 1)
    }

    private mutating func countLine(_ byte: UInt8) throws(HTTPViolation) {
        lineBytes += 1
        guard ByteClass.isFieldValue(byte), lineBytes <= GatewayLimits.chunkLineBytes else {
            throw HTTPViolation(400, "a chunk extension is too long or holds a control character")
        }
    }

    private func expect(_ byte: UInt8, _ wanted: UInt8) throws(HTTPViolation) {
        guard byte == wanted else { throw HTTPViolation(400, "a chunk does not end in CR LF") }
    }

    private mutating func trailer(_ byte: UInt8) throws(HTTPViolation) {
        lineBytes += 1
        guard lineBytes <= GatewayLimits.trailerBytes else { throw HTTPViolation(400, "the trailers are too long") }
        switch state {
        case .trailerStart where byte == 0x0D: state = .endFeed
        case .trailerStart, .trailerName:
            if state == .trailerName, byte == UInt8(ascii: ":") {
                state = .trailerValue
            } else {
                guard ByteClass.isToken(byte) else { throw HTTPViolation(400, "a trailer is no `name: value`") }
                state = .trailerName
            }
        case .trailerValue:
            if byte == 0x0D {
                state = .trailerFeed
            } else if !ByteClass.isFieldValue(byte) {
                throw HTTPViolation(400, "a trailer holds a control character")
            }
        case .trailerFeed:
            try expect(byte, 0x0A)
            state = .trailerStart
        default:
            try expect(byte, 0x0A)
            state = .done
        }
    }
}

/// What is left of a body, followed as its bytes pass.
package struct BodyProgress: Sendable {
    private enum Rest: Sendable {
        case length(Int)
        case chunked(ChunkedBody)
        case untilClose
    }

    private var rest: Rest

    package init(_ framing: BodyFraming) {
        rest =
            switch framing {
            case .none: .length(0)
            case .length(let length): .length(length)
            case .chunked: .chunked(ChunkedBody())
            case .untilClose: .untilClose
            }
    }

    package var isDone: Bool {
        switch rest {
        case .length(let left): left == 0
        case .chunked(let body): body.isDone
        case .untilClose: false
        }
    }

    var endsAtClose: Bool { if case .untilClose = rest { true } else { false } }

    /// How many of `bytes` belong to the body. `data` is called with each range that is content, not framing.
    package mutating func consume(
        _ bytes: UnsafeRawBufferPointer, data: (Range<Int>) -> Void = { _ in }
    ) throws(HTTPViolation) -> Int {
        switch rest {
        case .length(let left):
            let count = min(left, bytes.count)
            rest = .length(left - count)
            if count > 0 { data(0..<count) }
            return count
        case .chunked(var body):
            let count = try body.consume(bytes, data: data)
            rest = .chunked(body)
            return count
        case .untilClose:
            if !bytes.isEmpty { data(0..<bytes.count) }
            return bytes.count
        }
    }
}
