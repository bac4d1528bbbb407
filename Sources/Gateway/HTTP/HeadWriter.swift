internal import NIOCore

/// Writes the head that goes on from the head that came: received bytes are copied in runs, and only the fields that
/// speak of one connection are left out or replaced.
enum HeadWriter {
    /// What became of the response body's framing on the way to the client.
    enum BodyForm: Sendable {
        case verbatim
        /// The client speaks HTTP/1.0: content only, until the connection closes.
        case unchunked
        /// The endpoint ends the body by closing; the client gets chunks, and keeps its connection.
        case chunked
    }

    struct RequestChange {
        var rewrite: RoutingTable.PathRewrite?
        /// Bytes of the path that the rule's prefix covers.
        var prefix: Int
        var isUpgrade: Bool
        /// The client's address, as text.
        var client: [UInt8]
    }

    static func write(
        _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ change: RequestChange,
        into buffer: inout ByteBuffer
    ) {
        var extra = 256 + change.client.count + head.authority.count * 2
        switch change.rewrite {
        case .replacePrefix(let text), .replaceFull(let text): extra += text.utf8.count
        case nil: break
        }
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: head.length + extra) { target in
            var out = Output(target)
            out.append(head.method.of(bytes))
            out.append(" ")
            writeTarget(head, bytes, change, &out)
            out.append(" HTTP/1.1\r\nHost: ")
            out.append(head.authority.of(bytes))
            out.append("\r\n")
            writeRequestFields(head, bytes, &out)
            writeForwarded(head, bytes, change, &out)
            if change.isUpgrade, let upgrade = head.block.upgrade {
                out.append("Connection: Upgrade\r\nUpgrade: ")
                out.append(upgrade.of(bytes))
                out.append("\r\n")
            }
            out.append("\r\n")
            return out.count
        }
    }

    private static func writeTarget(
        _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ change: RequestChange, _ out: inout Output
    ) {
        switch change.rewrite {
        case nil: out.append(head.target.of(bytes))
        case .replacePrefix(let text):
            let start = out.count
            out.append(text)
            out.append(Span(head.path.start + min(change.prefix, head.path.count), head.path.end).of(bytes))
            if out.count == start { out.append("/") }
            out.append(Span(head.path.end, head.target.end).of(bytes))
        case .replaceFull(let text):
            out.append(text)
            out.append(Span(head.path.end, head.target.end).of(bytes))
        }
    }

    private static func writeRequestFields(
        _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ out: inout Output
    ) {
        let fields = head.block.fields
        guard var run = fields.first?.name.start else { return }
        var end = run
        let hasNominated = !head.block.nominated.isEmpty
        for field in fields {
            var isDropped = field.known != .other && isReplaced(field.known)
            if hasNominated, !isDropped, head.block.isNominated(field, bytes) { isDropped = true }
            if isDropped {
                out.append(Span(run, end).of(bytes))
                run = field.end
            }
            end = field.end
        }
        out.append(Span(run, end).of(bytes))
    }

    /// Fields that do not go on to the endpoint as they came.
    private static func isReplaced(_ name: FieldName) -> Bool {
        switch name {
        case .host, .forwardedFor, .forwardedHost, .forwardedProto: true
        default: name.isHopByHop
        }
    }

    private static func writeForwarded(
        _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ change: RequestChange, _ out: inout Output
    ) {
        out.append("X-Forwarded-For: ")
        for field in head.block.fields where field.known == .forwardedFor && !field.value.isEmpty {
            if !head.block.nominated.isEmpty, head.block.isNominated(field, bytes) { continue }
            out.append(field.value.of(bytes))
            out.append(", ")
        }
        change.client.withUnsafeBytes { out.append($0) }
        out.append("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ")
        out.append(head.authority.of(bytes))
        out.append("\r\n")
    }

    /// What the client is told about its connection.
    enum ConnectionField { case none, close, keepAlive, upgrade }

    static func write(
        _ head: borrowing ResponseHead, _ bytes: UnsafeRawBufferPointer, form: BodyForm, connection: ConnectionField,
        into buffer: inout ByteBuffer
    ) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: head.length + 128) { target in
            var out = Output(target)
            out.append("HTTP/1.1")
            out.append(head.statusText.of(bytes))
            out.append("\r\n")
            writeResponseFields(head, bytes, form, isUpgrade: connection == .upgrade, &out)
            if form == .chunked { out.append("Transfer-Encoding: chunked\r\n") }
            switch connection {
            case .none: break
            case .close: out.append("Connection: close\r\n")
            case .keepAlive: out.append("Connection: keep-alive\r\n")
            case .upgrade: out.append("Connection: Upgrade\r\n")
            }
            out.append("\r\n")
            return out.count
        }
    }

    private static func writeResponseFields(
        _ head: borrowing ResponseHead, _ bytes: UnsafeRawBufferPointer, _ form: BodyForm, isUpgrade: Bool,
        _ out: inout Output
    ) {
        let fields = head.block.fields
        guard var run = fields.first?.name.start else { return }
        var end = run
        let hasNominated = !head.block.nominated.isEmpty
        for field in fields {
            var isDropped = field.known.isHopByHop && !(isUpgrade && field.known == .upgrade)
            if form == .unchunked, field.known == .transferEncoding { isDropped = true }
            if hasNominated, !isDropped, head.block.isNominated(field, bytes) { isDropped = true }
            if isDropped {
                out.append(Span(run, end).of(bytes))
                run = field.end
            }
            end = field.end
        }
        out.append(Span(run, end).of(bytes))
    }

    /// A cursor over memory that the caller has made large enough.
    struct Output {
        private let target: UnsafeMutableRawBufferPointer
        private(set) var count = 0

        init(_ target: UnsafeMutableRawBufferPointer) { self.target = target }

        @inline(__always)
        mutating func append(_ bytes: UnsafeRawBufferPointer) {
            guard !bytes.isEmpty else { return }
            precondition(bytes.count <= target.count - count, "head of \(count + bytes.count) bytes in \(target.count)")
            UnsafeMutableRawBufferPointer(rebasing: target[count...]).copyMemory(from: bytes)
            count += bytes.count
        }

        @inline(__always)
        mutating func append(_ text: StaticString) {
            append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }

        mutating func append(_ text: String) {
            var text = text
            text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
        }
    }
}
