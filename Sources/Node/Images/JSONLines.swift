internal import Documents
internal import NIOCore

/// The objects of a stream of JSON, one a line, as engines report the progress of a pull or a build.
struct JSONLines {
    private var pending: [UInt8] = []

    /// The objects that are complete now. What is no JSON is passed over: only an engine's words count here.
    mutating func take(_ buffer: ByteBuffer) throws(ImageError) -> [JSON] {
        pending.append(contentsOf: buffer.readableBytesView)
        var objects: [JSON] = []
        var start = pending.startIndex
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let object = Self.object(pending[start..<end]) { objects.append(object) }
            start = end + 1
        }
        pending.removeSubrange(..<start)
        if pending.count > ImageLimits.progressBytes {
            throw ImageError(
                .pull,
                "expected lines of at most \(ImageLimits.progressBytes) bytes from the engine, found a longer one")
        }
        return objects
    }

    /// The object after the last line's end.
    mutating func finish() -> JSON? {
        defer { pending = [] }
        return Self.object(pending[...])
    }

    private static func object(_ bytes: ArraySlice<UInt8>) -> JSON? { try? JSONParser.parse(bytes) }
}

extension JSON {
    /// What an engine says went wrong: in the body of an unsuccessful answer, or in the middle of a successful one.
    var engineError: String? {
        let text = self["errorDetail"]?["message"]?.stringValue ?? self["error"]?.stringValue
        return text.map { $0.trimmedLine }
    }
}

extension String {
    /// Without the line's end, and not longer than a message may be.
    var trimmedLine: String {
        var text = self[...]
        while let last = text.last, last.isNewline { text.removeLast() }
        if text.utf8.count <= ImageLimits.messageBytes { return String(text) }
        return String(decoding: text.utf8.prefix(ImageLimits.messageBytes), as: UTF8.self) + " …"
    }
}
