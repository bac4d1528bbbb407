/// The protobuf messages of the standard kinds and how their fields are called in JSON. Read once from the bundled table,
/// whose head describes its form. Immutable.
struct ProtobufSchema: Sendable {
    /// What one field holds.
    enum FieldType: Sendable, Equatable {
        case string
        /// Written as base64.
        case bytes
        case integer
        case bool
        case double
        /// `Time`, or `MicroTime` when precise.
        case time(precise: Bool)
        /// Bytes that are JSON.
        case json
        /// Where in `messages` the message stands.
        case message(Int)
    }

    /// How often a field's value stands in its message.
    enum Shape: Sendable { case single, list, map }

    /// One field of a message.
    struct Field: Sendable {
        let number: Int
        let name: String
        let type: FieldType
        var shape = Shape.single
        /// A pointer in Go, which tells an empty value from none.
        var keepsEmpty = false
        /// Written in JSON also when zero.
        var keepsZero = false
        /// Its members stand in the message that holds it.
        var isInline = false
    }

    /// One message. A wrapper stands in JSON as the value of its last field that is there.
    struct Message: Sendable {
        let isWrapper: Bool
        /// In the order of the table.
        let fields: [Field]

        /// Fields are numbered densely as a rule, so the first guess is good.
        func field(_ number: Int) -> Field? {
            if number <= fields.count, fields[number - 1].number == number { return fields[number - 1] }
            return fields.first { $0.number == number }
        }
    }

    let messages: [Message]
    private let positions: [String: Int]

    static let bundled = ProtobufSchema(table: BundledFiles.protobufMessages)

    /// The message of a kind; `nil` where there is none. `DeleteOptions` go by the version of what they delete.
    func message(apiVersion: String, kind: String) -> Message? {
        let name = kind == "DeleteOptions" ? "meta.DeleteOptions" : "\(apiVersion).\(kind)"
        return positions[name].map { messages[$0] }
    }

    /// Reads a table. Its form is checked by the tests: what cannot be read is a defect of the build.
    init(table: String) {
        var lines: [(name: String, version: Substring, fields: [Substring])] = []
        var version = Substring()
        for line in table.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            if line.hasPrefix("[") {
                version = line.dropFirst().dropLast()
            } else if line.hasPrefix(" ") {
                lines[lines.count - 1].fields += words
            } else {
                lines.append(("\(version).\(words[0])", version, Array(words.dropFirst())))
            }
        }
        var positions: [String: Int] = [:]
        for (position, line) in lines.enumerated() {
            positions[line.name.hasSuffix("~") ? String(line.name.dropLast()) : line.name] = position
        }
        messages = lines.map { line in
            Message(
                isWrapper: line.name.hasSuffix("~"),
                fields: line.fields.map { Self.field($0, version: line.version, positions) })
        }
        self.positions = positions
    }

    /// A field such as `replicas=1:i?`.
    private static func field(_ text: Substring, version: Substring, _ positions: [String: Int]) -> Field {
        let parts = text.split(separator: ":")
        let left = parts.first?.split(separator: "=") ?? []
        guard parts.count == 2, left.count == 2, let number = Int(left[1]) else {
            preconditionFailure("protobuf/messages.txt: expected name=number:type, found \(text)")
        }
        let typeName = parts[1].prefix { !"*%?!^".contains($0) }
        let marks = parts[1].dropFirst(typeName.count)
        return Field(
            number: number, name: String(left[0]), type: type(typeName, version: version, positions),
            shape: marks.contains("*") ? .list : marks.contains("%") ? .map : .single, keepsEmpty: marks.contains("?"),
            keepsZero: marks.contains("!"), isInline: marks.contains("^"))
    }

    private static func type(_ name: Substring, version: Substring, _ positions: [String: Int]) -> FieldType {
        switch name {
        case "s": return .string
        case "y": return .bytes
        case "i": return .integer
        case "b": return .bool
        case "d": return .double
        case "t": return .time(precise: false)
        case "u": return .time(precise: true)
        case "j": return .json
        default:
            let full = name.contains(".") ? String(name) : "\(version).\(name)"
            guard let position = positions[full] else {
                preconditionFailure("protobuf/messages.txt: no message is called \(full)")
            }
            return .message(position)
        }
    }
}
