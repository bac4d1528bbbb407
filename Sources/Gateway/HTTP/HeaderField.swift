/// A range of bytes in the buffer a head was parsed from, counted from the first byte of the head.
package struct Span: Sendable, Equatable {
    package var start: Int
    package var end: Int

    package init(_ start: Int, _ end: Int) {
        self.start = start
        self.end = end
    }

    package var count: Int { end - start }
    package var isEmpty: Bool { start == end }

    func of(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: of(bytes), as: UTF8.self) }
}

/// The header fields a proxy must understand. Everything else is passed on as it came.
enum FieldName: UInt8, Sendable {
    case other, host, connection, contentLength, transferEncoding, keepAlive, proxyConnection, te, trailer, upgrade
    case expect, forwardedFor, forwardedProto, forwardedHost, proxyAuthorization, proxyAuthenticate, http2Settings

    /// Whether the field speaks of one connection only and is never passed on as it came.
    var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .upgrade, .proxyAuthorization, .proxyAuthenticate,
            .http2Settings:
            true
        default: false
        }
    }

    static func recognise(_ name: UnsafeRawBufferPointer) -> FieldName {
        switch name.count {
        case 2: name.isSameIgnoringCase("te") ? .te : .other
        case 4: name.isSameIgnoringCase("host") ? .host : .other
        case 6: name.isSameIgnoringCase("expect") ? .expect : .other
        case 7:
            if name.isSameIgnoringCase("upgrade") {
                .upgrade
            } else if name.isSameIgnoringCase("trailer") {
                .trailer
            } else {
                .other
            }
        case 10:
            if name.isSameIgnoringCase("connection") {
                .connection
            } else if name.isSameIgnoringCase("keep-alive") {
                .keepAlive
            } else {
                .other
            }
        case 14:
            if name.isSameIgnoringCase("content-length") {
                .contentLength
            } else if name.isSameIgnoringCase("http2-settings") {
                .http2Settings
            } else {
                .other
            }
        case 15: name.isSameIgnoringCase("x-forwarded-for") ? .forwardedFor : .other
        case 16:
            if name.isSameIgnoringCase("proxy-connection") {
                .proxyConnection
            } else if name.isSameIgnoringCase("x-forwarded-host") {
                .forwardedHost
            } else {
                .other
            }
        case 17:
            if name.isSameIgnoringCase("transfer-encoding") {
                .transferEncoding
            } else if name.isSameIgnoringCase("x-forwarded-proto") {
                .forwardedProto
            } else {
                .other
            }
        case 19: name.isSameIgnoringCase("proxy-authorization") ? .proxyAuthorization : .other
        case 18: name.isSameIgnoringCase("proxy-authenticate") ? .proxyAuthenticate : .other
        default: .other
        }
    }
}

/// One header field of a parsed head, as ranges of the bytes it was parsed from.
struct HeaderField: Sendable {
    var name: Span
    var value: Span
    /// One past the line's end-of-line.
    var end: Int
    var known: FieldName
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes spell `text`, which must be lower case, in any mixture of cases.
    func isSameIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let other = text.utf8Start
        for position in 0..<count {
            let byte = self[position]
            let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if lower != other[position] { return false }
        }
        return true
    }

    func isSame(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let other = text.utf8Start
        for position in 0..<count where self[position] != other[position] { return false }
        return true
    }

    /// The bytes as text in lower case; ASCII letters only change.
    func lowercasedText() -> String {
        String(unsafeUninitializedCapacity: count) { target in
            for position in 0..<count {
                let byte = self[position]
                target[position] = byte &- 0x41 < 26 ? byte | 0x20 : byte
            }
            return count
        }
    }

    /// Calls `body` with each element of a comma-separated list, without the blanks around it.
    func forEachToken(_ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        while start <= count {
            var end = start
            while end < count, self[end] != UInt8(ascii: ",") { end += 1 }
            var first = start
            var last = end
            while first < last, self[first] == 0x20 || self[first] == 0x09 { first += 1 }
            while last > first, self[last - 1] == 0x20 || self[last - 1] == 0x09 { last -= 1 }
            if first < last { body(UnsafeRawBufferPointer(rebasing: self[first..<last])) }
            start = end + 1
        }
    }
}

/// The classes of bytes the grammar of HTTP knows, as bit sets over ASCII.
enum ByteClass {
    private static let tokenLow: UInt64 = 0x03FF_6CFA_0000_0000
    private static let tokenHigh: UInt64 = 0x57FF_FFFF_C7FF_FFFE

    /// tchar of RFC 9110.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        if byte < 64 { return tokenLow &>> UInt64(byte) & 1 == 1 }
        return byte < 128 && tokenHigh &>> UInt64(byte &- 64) & 1 == 1
    }

    /// What a field value may hold: visible characters, blanks, tabs and bytes above ASCII.
    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7F) || byte == 0x09 }

    /// What a request target may hold. Stricter than some servers, laxer than the grammar of URIs.
    @inline(__always)
    static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte != 0x7F && byte != UInt8(ascii: "#") }

    /// What a host and port may hold.
    @inline(__always)
    static func isAuthority(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A) || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[")
            || byte == UInt8(ascii: "]")
            || byte == UInt8(ascii: "_")
    }
}
