internal import CYAML

/// What libyaml finds in a stream, one event after the other, as Swift values. Owns the C parser; used by one thread.
struct YAMLEvents: ~Copyable {
    enum Event {
        case streamEnd
        case documentStart
        case alias(String)
        case scalar(Scalar)
        case sequenceStart(anchor: String?)
        case sequenceEnd
        case mappingStart(anchor: String?)
        case mappingEnd
    }

    struct Scalar {
        let anchor: String?
        let tag: String?
        let text: String
        /// Without quotes and without a tag: its meaning is in its text.
        let isPlain: Bool
    }

    /// Where something starts. Both count from 1.
    struct Position {
        let line: Int
        let column: Int
    }

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeBufferPointer<UInt8>
    private let file: String

    /// `bytes` must stay where they are for as long as this value lives.
    init(_ bytes: UnsafeBufferPointer<UInt8>, file: String) throws(YAMLError) {
        self.bytes = bytes
        self.file = file
        parser = .allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            throw YAMLError(file: file, line: 1, column: 1, message: "out of memory")
        }
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// The next event and where it starts. Stream starts and document ends are skipped.
    mutating func next() throws(YAMLError) -> (event: Event, position: Position) {
        while true {
            var raw = yaml_event_t()
            guard yaml_parser_parse(parser, &raw) == 1 else { throw failure() }
            defer { yaml_event_delete(&raw) }
            let position = Position(line: Int(raw.start_mark.line) + 1, column: Int(raw.start_mark.column) + 1)
            if let event = Self.event(raw) { return (event, position) }
        }
    }

    private static func event(_ raw: yaml_event_t) -> Event? {
        switch raw.type {
        case YAML_DOCUMENT_START_EVENT: return .documentStart
        case YAML_ALIAS_EVENT: return .alias(text(raw.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = raw.data.scalar
            let value = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let text = String(decoding: value, as: UTF8.self)
            // A lone "!" asks for a string, and libyaml keeps it to itself: the scalar is then longer than its text.
            let length = Int(raw.end_mark.index) - Int(raw.start_mark.index)
            let isBare = scalar.anchor != nil || length == text.unicodeScalars.count
            return .scalar(
                Scalar(
                    anchor: Self.text(scalar.anchor), tag: Self.text(scalar.tag), text: text,
                    isPlain: scalar.plain_implicit != 0 && scalar.style == YAML_PLAIN_SCALAR_STYLE && isBare))
        case YAML_SEQUENCE_START_EVENT: return .sequenceStart(anchor: text(raw.data.sequence_start.anchor))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT: return .mappingStart(anchor: text(raw.data.mapping_start.anchor))
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return .streamEnd
        default: return nil
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: UnsafePointer<UInt8>($0)) }
    }

    private func failure() -> YAMLError {
        let state = parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "unreadable"
        let position: Position
        if state.error == YAML_READER_ERROR {
            let before = bytes.prefix(Int(state.problem_offset))
            let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            position = Position(line: before.count { $0 == 0x0A } + 1, column: before.count - lineStart + 1)
        } else {
            position = Position(line: Int(state.problem_mark.line) + 1, column: Int(state.problem_mark.column) + 1)
        }
        let context =
            state.context.map { " \(String(cString: $0)) that starts on line \(state.context_mark.line + 1)" } ?? ""
        return YAMLError(file: file, line: position.line, column: position.column, message: problem + context)
    }
}
