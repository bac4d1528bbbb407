/// A request head as the proxy needs it: ranges of the received bytes, checked, with nothing copied. Valid for the bytes
/// it was parsed from; one is kept per event loop and parsed into again and again.
package struct RequestHead: Sendable {
    /// Methods the proxy treats in a way of their own.
    package enum Method: Sendable { case get, head, options, trace, put, delete, post, other }

    private(set) var method = Span(0, 0)
    private(set) var knownMethod = Method.other
    /// Path and query as they go to the endpoint, before any rewrite.
    private(set) var target = Span(0, 0)
    /// The part of `target` before the query.
    private(set) var path = Span(0, 0)
    /// Host with port, from the target's authority or the Host field. Empty for HTTP/1.0 without one.
    private(set) var authority = Span(0, 0)
    private(set) var isHTTP10 = false
    private(set) var block = FieldBlock()
    private(set) var framing = BodyFraming.none
    /// Bytes of the head, the empty line included.
    private(set) var length = 0

    package init() {}

    /// Whether the client wants its connection to stay open.
    var keepsAlive: Bool { isHTTP10 ? block.connectionKeepAlive && !block.connectionClose : !block.connectionClose }

    /// Whether sending the request twice is the same as sending it once.
    var isIdempotent: Bool {
        switch knownMethod {
        case .get, .head, .options, .trace, .put, .delete: true
        case .post, .other: false
        }
    }

    /// Whether the client asks to leave HTTP, with no body in the way. An upgrade to HTTP/2 is not passed on: it would
    /// open a tunnel past every rule.
    func wantsUpgrade(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard block.connectionUpgrade, let upgrade = block.upgrade, framing == .none, !isHTTP10 else { return false }
        var isHTTP2 = false
        upgrade.of(bytes).forEachToken { if $0.isSameIgnoringCase("h2c") { isHTTP2 = true } }
        return !isHTTP2
    }

    /// Parses a complete head of `length` bytes.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer, length: Int) throws(HTTPViolation) {
        self.length = length
        let fieldsStart = try parseRequestLine(bytes)
        try block.parse(bytes, from: fieldsStart, to: length)
        try checkFraming()
        try checkTarget(bytes)
    }

    private mutating func parseRequestLine(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Int {
        var position = 0
        while position < length, ByteClass.isToken(bytes[position]) { position += 1 }
        method = Span(0, position)
        guard position > 0, position <= 32, bytes[position] == 0x20 else {
            throw HTTPViolation(400, "the request line starts with no method")
        }
        let start = position + 1
        position = start
        while position < length, ByteClass.isTarget(bytes[position]) { position += 1 }
        target = Span(start, position)
        let rest = UnsafeRawBufferPointer(rebasing: bytes[position..<min(position + 11, length)])
        if rest.isSame(" HTTP/1.1\r\n") {
            isHTTP10 = false
        } else if rest.isSame(" HTTP/1.0\r\n") {
            isHTTP10 = true
        } else if rest.count > 6, UnsafeRawBufferPointer(rebasing: rest[0..<6]).isSame(" HTTP/") {
            throw HTTPViolation(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        } else {
            throw HTTPViolation(400, "the request line is no `method target HTTP/1.1`")
        }
        guard !target.isEmpty else { throw HTTPViolation(400, "the request line has no target") }
        knownMethod = Self.recognise(method.of(bytes))
        return position + 11
    }

    private static func recognise(_ method: UnsafeRawBufferPointer) -> Method {
        switch method.count {
        case 3: method.isSame("GET") ? .get : method.isSame("PUT") ? .put : .other
        case 4: method.isSame("POST") ? .post : method.isSame("HEAD") ? .head : .other
        case 5: method.isSame("TRACE") ? .trace : .other
        case 6: method.isSame("DELETE") ? .delete : .other
        case 7: method.isSame("OPTIONS") ? .options : .other
        default: .other
        }
    }

    private mutating func checkFraming() throws(HTTPViolation) {
        if block.isChunked {
            guard block.contentLength == nil else {
                throw HTTPViolation(400, "there are both Content-Length and Transfer-Encoding")
            }
            guard !isHTTP10 else { throw HTTPViolation(400, "HTTP/1.0 has no Transfer-Encoding") }
            framing = .chunked
        } else if let length = block.contentLength, length > 0 {
            framing = .length(length)
        } else {
            framing = .none
        }
    }

    /// Splits the target, and settles which host the request is for.
    private mutating func checkTarget(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) {
        if let host = block.host {
            authority = host
        } else {
            guard isHTTP10 else { throw HTTPViolation(400, "there is no Host field") }
            authority = Span(0, 0)
        }
        let first = bytes[target.start]
        if first == UInt8(ascii: "*") {
            guard target.count == 1, knownMethod == .options else { throw HTTPViolation(400, "the target is no path") }
        } else if first != UInt8(ascii: "/") {
            try splitAbsoluteTarget(bytes)
        }
        guard authority.count <= GatewayLimits.hostBytes else { throw HTTPViolation(400, "the host name is too long") }
        for position in authority.start..<authority.end where !ByteClass.isAuthority(bytes[position]) {
            throw HTTPViolation(400, "the host name holds a character that is not allowed")
        }
        var end = target.start
        while end < target.end, bytes[end] != UInt8(ascii: "?") { end += 1 }
        path = Span(target.start, end)
        if DotSegments.isPresent(in: path.of(bytes)) {
            throw HTTPViolation(400, "the path holds a `.` or `..` segment")
        }
    }

    private mutating func splitAbsoluteTarget(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) {
        let whole = target.of(bytes)
        guard whole.count > 7, UnsafeRawBufferPointer(rebasing: whole[0..<7]).isSameIgnoringCase("http://") else {
            throw HTTPViolation(400, "the target is no path")
        }
        var slash = target.start + 7
        while slash < target.end, bytes[slash] != UInt8(ascii: "/"), bytes[slash] != UInt8(ascii: "?") { slash += 1 }
        authority = Span(target.start + 7, slash)
        // A target of authority alone would need a `/` that is not among the received bytes.
        guard slash < target.end, bytes[slash] == UInt8(ascii: "/"), !authority.isEmpty else {
            throw HTTPViolation(400, "the target has no path")
        }
        target = Span(slash, target.end)
    }
}

/// Finds `.` and `..` segments, also when percent-encoded: a request with one would be routed by one path and answered
/// for another.
enum DotSegments {
    static func isPresent(in path: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        while position < path.count {
            guard path[position] == UInt8(ascii: "/") || path[position] == UInt8(ascii: "\\") else {
                position += 1
                continue
            }
            position += 1
            let (dots, end) = leadingDots(path, position)
            let isWhole = end == path.count || path[end] == UInt8(ascii: "/") || path[end] == UInt8(ascii: "\\")
            if isWhole, dots == 1 || dots == 2 { return true }
        }
        return false
    }

    private static func leadingDots(_ path: UnsafeRawBufferPointer, _ start: Int) -> (dots: Int, end: Int) {
        var dots = 0
        var position = start
        while position < path.count, dots < 3 {
            if path[position] == UInt8(ascii: ".") {
                position += 1
            } else if position + 2 < path.count, path[position] == UInt8(ascii: "%"),
                path[position + 1] == UInt8(ascii: "2"),
                path[position + 2] | 0x20 == UInt8(ascii: "e")
            {
                position += 3
            } else {
                break
            }
            dots += 1
        }
        return (dots, position)
    }
}
