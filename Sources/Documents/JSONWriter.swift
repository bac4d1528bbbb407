/// Writes JSON values as bytes: compact, or indented by two spaces as kubectl's `-o json` and curl users see it.
package struct JSONWriter {
    package private(set) var bytes: [UInt8]
    private let indent: Bool
    private var depth = 0

    package init(indent: Bool = false, reservingCapacity capacity: Int = 512) {
        bytes = []
        bytes.reserveCapacity(capacity)
        self.indent = indent
    }

    package mutating func write(_ value: JSON) {
        switch value {
        case .null: raw("null")
        case .bool(let value): raw(value ? "true" : "false")
        case .integer(let value): write(integer: value)
        case .number(let value): write(number: value)
        case .string(let value): write(string: value)
        case .array(let elements): write(array: elements)
        case .object(let object): write(object)
        }
    }

    package mutating func write(_ object: JSONObject) {
        bytes.append(UInt8(ascii: "{"))
        depth += 1
        for (position, member) in object.members.enumerated() {
            separate(position)
            write(string: member.key)
            raw(indent ? ": " : ":")
            write(member.value)
        }
        close(object.isEmpty, UInt8(ascii: "}"))
    }

    /// Writes `value` with the members of every object in byte order of their names: the form documents are stored in.
    /// Already ordered objects cost no sorting.
    package mutating func writeSorted(_ value: JSON) {
        switch value {
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            depth += 1
            for (position, element) in elements.enumerated() {
                separate(position)
                writeSorted(element)
            }
            close(elements.isEmpty, UInt8(ascii: "]"))
        case .object(let object): writeSorted(object) { writer, member in writer.writeSorted(member.value) }
        default: write(value)
        }
    }

    /// Writes an object in byte order of its names, and leaves the writing of each value to `writeValue`.
    package mutating func writeSorted(_ object: JSONObject, _ writeValue: (inout JSONWriter, JSONObject.Member) -> Void)
    {
        bytes.append(UInt8(ascii: "{"))
        depth += 1
        for (position, member) in object.sortedMembers.enumerated() {
            separate(position)
            write(string: member.key)
            raw(indent ? ": " : ":")
            writeValue(&self, member)
        }
        close(object.isEmpty, UInt8(ascii: "}"))
    }

    private mutating func write(array elements: [JSON]) {
        bytes.append(UInt8(ascii: "["))
        depth += 1
        for (position, element) in elements.enumerated() {
            separate(position)
            write(element)
        }
        close(elements.isEmpty, UInt8(ascii: "]"))
    }

    private mutating func separate(_ position: Int) {
        if position > 0 { bytes.append(UInt8(ascii: ",")) }
        if indent { newline() }
    }

    private mutating func close(_ isEmpty: Bool, _ bracket: UInt8) {
        depth -= 1
        if indent && !isEmpty { newline() }
        bytes.append(bracket)
    }

    private mutating func newline() {
        bytes.append(0x0A)
        for _ in 0..<(2 * depth) { bytes.append(0x20) }
    }

    private mutating func write(integer value: Int64) {
        var text = String(value)
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    /// The shortest text that reads back as the same float. `1.0` stays `1.0`, so that it does not become an integer.
    private mutating func write(number value: Double) {
        precondition(value.isFinite, "JSON has no \(value)")
        var text = value.description
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    package mutating func write(string: String) {
        bytes.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { text in
            var (start, position) = (0, 0)
            while position < text.count {
                let byte = text[position]
                if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<position]))
                    escape(byte)
                    start = position + 1
                }
                position += 1
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): raw("\\\"")
        case UInt8(ascii: "\\"): raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        default:
            raw("\\u00")
            let digits: StaticString = "0123456789abcdef"
            digits.withUTF8Buffer {
                bytes.append($0[Int(byte >> 4)])
                bytes.append($0[Int(byte & 15)])
            }
        }
    }

    private mutating func raw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }
}

extension JSON {
    /// The value as compact JSON.
    package var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.bytes
    }

    /// Whether the compact JSON has certainly more bytes; escapes and numbers are not counted. Stops there.
    package func isLonger(than bytes: Int) -> Bool {
        var rest = bytes
        return !spend(&rest)
    }

    private func spend(_ rest: inout Int) -> Bool {
        rest -= 1
        switch self {
        case .null, .bool, .integer, .number: break
        case .string(let text): rest -= text.utf8.count + 1
        case .array(let elements):
            for element in elements where !element.spend(&rest) { return false }
        case .object(let object):
            for member in object.members {
                rest -= member.key.utf8.count + 3
                if !member.value.spend(&rest) { return false }
            }
        }
        return rest >= 0
    }

    /// The value as JSON text, compact or indented by two spaces.
    package func text(indent: Bool = false) -> String {
        var writer = JSONWriter(indent: indent)
        writer.write(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
