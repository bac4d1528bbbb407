internal import Glibc

/// Why bytes are not the HTTP/1.1 message they should be, and the status that says so to whoever sent them.
package struct HTTPViolation: Error, Equatable, CustomStringConvertible {
    package var status: Int
    package var reason: String

    init(_ status: Int = 400, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    package var description: String { "\(status): \(reason)" }
}

/// How long a message's body is.
package enum BodyFraming: Sendable, Equatable {
    case none
    case length(Int)
    case chunked
    /// Until the connection closes. Responses only.
    case untilClose
}

/// Where the head ends, found without parsing it: a scan that takes up where it stopped when more bytes have come, so
/// that a head sent byte by byte costs no quadratic time.
package struct HeadScan: Sendable {
    /// Start of the first line that was not complete yet.
    private var line = 0

    package init() {}

    /// The length of the head with its empty line, `nil` while it is incomplete. Refuses a line that ends in a bare LF.
    package mutating func end(in bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        while line < bytes.count {
            guard let found = memchr(base + line, 0x0A, bytes.count - line) else { break }
            let feed = UnsafeRawPointer(found) - base
            guard feed > line, bytes[feed - 1] == 0x0D else {
                throw HTTPViolation(400, "a line of the head ends in LF without CR")
            }
            let isEmpty = feed == line + 1
            line = feed + 1
            if line > GatewayLimits.headBytes { break }
            if isEmpty { return line }
        }
        if bytes.count > GatewayLimits.headBytes || line > GatewayLimits.headBytes {
            throw HTTPViolation(431, "the head is larger than \(GatewayLimits.headBytes) bytes")
        }
        return nil
    }
}

/// The header fields of a head, and what they say about framing and about the connection. Shared by requests and
/// responses; strict, because every doubt about where a message ends is a way to smuggle another one past the proxy.
struct FieldBlock: Sendable {
    private(set) var fields: [HeaderField] = []
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    private(set) var host: Span?
    private(set) var connectionClose = false
    private(set) var connectionKeepAlive = false
    private(set) var connectionUpgrade = false
    private(set) var upgrade: Span?
    private(set) var expectsContinue = false
    /// Names of further fields that a Connection field declared to be for this connection only.
    private(set) var nominated: [Span] = []

    init() { fields.reserveCapacity(32) }

    /// Parses the lines from `start` to the empty line that ends at `end`. Keeps the storage of an earlier parse.
    mutating func parse(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) throws(HTTPViolation) {
        reset()
        var position = start
        while position < end - 2 {
            // The scan has shown that every line ends in CR LF, and that the empty line is the last.
            guard let base = bytes.baseAddress, let found = memchr(base + position, 0x0A, end - position) else { break }
            let next = UnsafeRawPointer(found) - base + 1
            try parseLine(bytes, from: position, to: next)
            position = next
        }
    }

    private mutating func reset() {
        fields.removeAll(keepingCapacity: true)
        if !nominated.isEmpty { nominated.removeAll(keepingCapacity: true) }
        contentLength = nil
        isChunked = false
        host = nil
        connectionClose = false
        connectionKeepAlive = false
        connectionUpgrade = false
        upgrade = nil
        expectsContinue = false
    }

    private mutating func parseLine(_ bytes: UnsafeRawBufferPointer, from start: Int, to next: Int)
        throws(HTTPViolation)
    {
        let lineEnd = next - 2
        var colon = start
        while colon < lineEnd, ByteClass.isToken(bytes[colon]) { colon += 1 }
        guard colon > start, bytes[colon] == UInt8(ascii: ":") else {
            throw HTTPViolation(400, "a header line is no `name: value`")
        }
        var first = colon + 1
        var last = lineEnd
        while first < last, bytes[first] == 0x20 || bytes[first] == 0x09 { first += 1 }
        while last > first, bytes[last - 1] == 0x20 || bytes[last - 1] == 0x09 { last -= 1 }
        var position = first
        while position < last {
            guard ByteClass.isFieldValue(bytes[position]) else {
                throw HTTPViolation(400, "a header value holds a control character")
            }
            position += 1
        }
        guard fields.count < GatewayLimits.headerFields else {
            throw HTTPViolation(431, "there are more than \(GatewayLimits.headerFields) header fields")
        }
        let name = Span(start, colon)
        let known = FieldName.recognise(name.of(bytes))
        let field = HeaderField(name: name, value: Span(first, last), end: next, known: known)
        fields.append(field)
        if known != .other { try note(field, bytes) }
    }

    private mutating func note(_ field: HeaderField, _ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) {
        switch field.known {
        case .host:
            guard host == nil else { throw HTTPViolation(400, "there are two Host fields") }
            host = field.value
        case .contentLength:
            guard contentLength == nil else { throw HTTPViolation(400, "there are two Content-Length fields") }
            contentLength = try Self.decimal(field.value.of(bytes))
        case .transferEncoding:
            guard !isChunked, field.value.of(bytes).isSameIgnoringCase("chunked") else {
                throw HTTPViolation(501, "a Transfer-Encoding other than `chunked` is not understood")
            }
            isChunked = true
        case .connection: noteConnection(field.value, bytes)
        case .upgrade: upgrade = field.value
        case .expect: expectsContinue = field.value.of(bytes).isSameIgnoringCase("100-continue")
        default: break
        }
    }

    private mutating func noteConnection(_ value: Span, _ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        value.of(bytes).forEachToken { token in
            if token.isSameIgnoringCase("close") {
                connectionClose = true
            } else if token.isSameIgnoringCase("keep-alive") {
                connectionKeepAlive = true
            } else if token.isSameIgnoringCase("upgrade") {
                connectionUpgrade = true
            } else if let start = token.baseAddress {
                // A peer may not have fields taken away that say where the message goes or ends.
                guard [.other, .forwardedFor, .forwardedHost, .forwardedProto].contains(FieldName.recognise(token))
                else { return }
                nominated.append(Span(start - base, start - base + token.count))
            }
        }
    }

    func isNominated(_ field: HeaderField, _ bytes: UnsafeRawBufferPointer) -> Bool {
        nominated.contains { other in
            guard other.count == field.name.count else { return false }
            return zip(other.of(bytes), field.name.of(bytes)).allSatisfy { left, right in
                left == right || (left ^ right == 0x20 && (left | 0x20) >= 0x61 && (left | 0x20) <= 0x7A)
            }
        }
    }

    /// A body length: digits only, and few enough that no arithmetic on it overflows.
    static func decimal(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Int {
        guard !bytes.isEmpty, bytes.count <= 18 else { throw HTTPViolation(400, "Content-Length is no number") }
        var value = 0
        for byte in bytes {
            guard byte >= 0x30, byte <= 0x39 else { throw HTTPViolation(400, "Content-Length is no number") }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }
}
