/// A response head as the proxy needs it: ranges of the received bytes, checked, with nothing copied.
package struct ResponseHead: Sendable {
    private(set) var status = 0
    /// From the space before the status code to the end of the reason phrase.
    private(set) var statusText = Span(0, 0)
    private(set) var isHTTP10 = false
    private(set) var block = FieldBlock()
    private(set) var framing = BodyFraming.none
    private(set) var length = 0

    package init() {}

    /// Whether the endpoint keeps the connection open after this response.
    var keepsAlive: Bool {
        if framing == .untilClose { return false }
        return isHTTP10 ? block.connectionKeepAlive && !block.connectionClose : !block.connectionClose
    }

    var isInterim: Bool { status < 200 && status != 101 }

    /// Parses a complete head of `length` bytes, the answer to a request that was or was not a HEAD.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer, length: Int, toHEAD: Bool) throws(HTTPViolation) {
        self.length = length
        let fieldsStart = try parseStatusLine(bytes)
        try block.parse(bytes, from: fieldsStart, to: length)
        if block.isChunked, block.contentLength != nil {
            throw HTTPViolation(502, "the response has both Content-Length and Transfer-Encoding")
        }
        if toHEAD || status < 200 || status == 204 || status == 304 {
            framing = .none
        } else if block.isChunked {
            framing = .chunked
        } else if let length = block.contentLength {
            framing = length == 0 ? .none : .length(length)
        } else {
            framing = .untilClose
        }
    }

    private mutating func parseStatusLine(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Int {
        guard length > 14 else { throw HTTPViolation(502, "the response has no status line") }
        let version = UnsafeRawBufferPointer(rebasing: bytes[0..<9])
        if version.isSame("HTTP/1.1 ") {
            isHTTP10 = false
        } else if version.isSame("HTTP/1.0 ") {
            isHTTP10 = true
        } else {
            throw HTTPViolation(502, "the response is not HTTP/1.1 or HTTP/1.0")
        }
        status = 0
        for position in 9..<12 {
            guard bytes[position] >= 0x30, bytes[position] <= 0x39 else {
                throw HTTPViolation(502, "the response's status is no number")
            }
            status = status * 10 + Int(bytes[position] - 0x30)
        }
        guard status >= 100, bytes[12] == 0x20 || bytes[12] == 0x0D else {
            throw HTTPViolation(502, "the response's status is no number from 100 to 999")
        }
        var end = 12
        while bytes[end] != 0x0D {
            guard ByteClass.isFieldValue(bytes[end]) else {
                throw HTTPViolation(502, "the response's status line holds a control character")
            }
            end += 1
        }
        guard bytes[end + 1] == 0x0A else { throw HTTPViolation(502, "the response's status line holds a CR") }
        statusText = Span(8, end)
        return end + 2
    }
}
