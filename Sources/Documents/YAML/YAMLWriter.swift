internal import CYAML

/// Writes JSON values as YAML, byte for byte as `kubectl -o yaml` prints them: sorted keys, two spaces, lists flush
/// with their key, `|` for text of several lines, quotes only where the text would mean something else.
package enum YAMLWriter {
    package static func text(_ json: JSON) -> String {
        var emitter = YAMLEmitter()
        emitter.write(document: json)
        return emitter.text
    }
}

/// Drives libyaml's emitter, the one go-yaml was ported from, with go-yaml's choice of styles. Owns the C emitter.
private struct YAMLEmitter: ~Copyable {
    /// What the emitter has written; reached from its C callback.
    private final class Output {
        var bytes: [UInt8] = []
    }

    private let emitter: UnsafeMutablePointer<yaml_emitter_t>
    private let output = Output()

    init() {
        emitter = .allocate(capacity: 1)
        yaml_emitter_initialize(emitter)
        yaml_emitter_set_unicode(emitter, 1)
        let write: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, Int) -> Int32 = {
            box, bytes, count in
            guard let box else { return 0 }
            let output = Unmanaged<Output>.fromOpaque(box).takeUnretainedValue()
            output.bytes.append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
            return 1
        }
        yaml_emitter_set_output(emitter, write, Unmanaged.passUnretained(output).toOpaque())
    }

    deinit {
        yaml_emitter_delete(emitter)
        emitter.deallocate()
    }

    var text: String { String(decoding: output.bytes, as: UTF8.self) }

    mutating func write(document: JSON) {
        emit { yaml_stream_start_event_initialize(&$0, YAML_UTF8_ENCODING) }
        emit { yaml_document_start_event_initialize(&$0, nil, nil, nil, 1) }
        write(document)
        emit { yaml_document_end_event_initialize(&$0, 1) }
        emit { yaml_stream_end_event_initialize(&$0) }
        yaml_emitter_flush(emitter)
    }

    private mutating func write(_ value: JSON) {
        switch value {
        case .null: scalar("null", YAML_PLAIN_SCALAR_STYLE)
        case .bool(let value): scalar(value ? "true" : "false", YAML_PLAIN_SCALAR_STYLE)
        case .integer(let value): scalar(String(value), YAML_PLAIN_SCALAR_STYLE)
        case .number(let value):
            let integer = YAMLScalar.integer(spelledBy: value).map { String($0) }
            scalar(integer ?? YAMLScalar.text(value), YAML_PLAIN_SCALAR_STYLE)
        case .string(let text): write(text)
        case .array(let elements):
            emit { yaml_sequence_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_SEQUENCE_STYLE) }
            for element in elements { write(element) }
            emit { yaml_sequence_end_event_initialize(&$0) }
        case .object(let object):
            emit { yaml_mapping_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_MAPPING_STYLE) }
            for member in object.members.sorted(by: { YAMLKeyOrder.precedes($0.key, $1.key) }) {
                write(key: member.key)
                write(member.value)
            }
            emit { yaml_mapping_end_event_initialize(&$0) }
        }
    }

    /// Unlike kubectl, a key `<<` is quoted: it would be read back as a merge.
    private mutating func write(key: String) {
        if key == "<<" { scalar(key, YAML_DOUBLE_QUOTED_SCALAR_STYLE) } else { write(key) }
    }

    private mutating func write(_ text: String) {
        if text.utf8.contains(0x0A) { return scalar(text, YAML_LITERAL_SCALAR_STYLE) }
        if case .string = YAMLScalar(resolving: text), !YAMLScalar.isSexagesimal(text) {
            return scalar(text, YAML_PLAIN_SCALAR_STYLE)
        }
        scalar(text, YAML_DOUBLE_QUOTED_SCALAR_STYLE)
    }

    private mutating func scalar(_ text: String, _ style: yaml_scalar_style_t) {
        var text = text
        text.withUTF8 { bytes in
            emit { yaml_scalar_event_initialize(&$0, nil, nil, bytes.baseAddress, Int32(bytes.count), 1, 1, style) }
        }
    }

    /// The emitter takes over the event and frees it. It refuses none of the sequences above.
    private mutating func emit(_ initialize: (inout yaml_event_t) -> Int32) {
        var event = yaml_event_t()
        if initialize(&event) == 1 { yaml_emitter_emit(emitter, &event) }
    }
}

/// The order go-yaml gives to the keys of a mapping: numbers inside keys count as numbers (`a9` before `a10`), other
/// signs come before letters.
enum YAMLKeyOrder {
    static func precedes(_ left: String, _ right: String) -> Bool {
        let a = Array(left.unicodeScalars)
        let b = Array(right.unicodeScalars)
        guard let position = (0..<min(a.count, b.count)).first(where: { a[$0] != b[$0] }) else {
            return a.count < b.count
        }
        let isLetterA = a[position].properties.isAlphabetic
        let isLetterB = b[position].properties.isAlphabetic
        if isLetterA && isLetterB { return a[position] < b[position] }
        if isLetterA || isLetterB { return isLetterB }
        // A zero that follows another digit is not a leading zero: it counts as much as any digit.
        let isZero = a[position] == "0" || b[position] == "0"
        let before = a[..<position].reversed().prefix(while: isDigit)
        let start: UInt64 = isZero && before.contains { $0 != "0" } ? 1 : 0
        let (numberA, endA) = number(a, from: position, start)
        let (numberB, endB) = number(b, from: position, start)
        if numberA != numberB { return numberA < numberB }
        if endA != endB { return endA < endB }
        return a[position] < b[position]
    }

    private static func number(_ scalars: [Unicode.Scalar], from start: Int, _ value: UInt64) -> (UInt64, end: Int) {
        var value = value
        var end = start
        while end < scalars.count, isDigit(scalars[end]) {
            value = value &* 10 &+ UInt64(scalars[end].value - 48)
            end += 1
        }
        return (value, end)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { (48...57).contains(scalar.value) }
}

extension YAMLScalar {
    /// `12:30`, which YAML 1.1 reads as a number to the base 60: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
    static func isSexagesimal(_ text: String) -> Bool {
        guard text.utf8.contains(UInt8(ascii: ":")) else { return false }
        var scanner = TextScanner(text)
        if !scanner.take("-") { _ = scanner.take("+") }
        guard scanner.next?.isDigit == true else { return false }
        _ = scanner.take { $0.isDigit || $0 == UInt8(ascii: "_") }
        var groups = 0
        while scanner.take(":") {
            let digits = scanner.take { $0.isDigit }
            guard (1...2).contains(digits.utf8.count),
                digits.utf8.count == 1 || digits.utf8.first ?? 0 < UInt8(ascii: "6")
            else {
                return false
            }
            groups += 1
        }
        if scanner.take(".") { _ = scanner.take { $0.isDigit || $0 == UInt8(ascii: "_") } }
        return groups > 0 && scanner.isAtEnd
    }
}
