/// One step of a field's path, in the form FieldsV1 writes it: `f:name` a member, `k:{"name":"x"}` an element of a
/// list of maps by its key fields, `v:"x"` an element of a set, `i:3` an element by position.
///
/// The text is canonical (compact JSON, key fields sorted), so that two steps are the same exactly when their bytes
/// are.
package struct PathElement: Sendable, Hashable, Comparable {
    package let text: String

    private init(text: String) { self.text = text }

    package static func field(_ name: String) -> PathElement { PathElement(text: "f:" + name) }

    package static func value(_ value: JSON) -> PathElement { PathElement(text: "v:" + value.text()) }

    package static func index(_ index: Int) -> PathElement { PathElement(text: "i:\(index)") }

    /// `fields` in any order.
    package static func key(_ fields: [(name: String, value: JSON)]) -> PathElement {
        var object = JSONObject(fields.map { ($0.name, $0.value) })
        if fields.count > 1 { object.sort() }
        var writer = JSONWriter(reservingCapacity: 48)
        writer.write(object)
        return PathElement(text: "k:" + String(decoding: writer.bytes, as: UTF8.self))
    }

    /// Reads a member name of a FieldsV1 object; `nil` where it is none.
    package init?(fieldsV1 text: String) {
        let body = text.utf8.dropFirst(2)
        guard text.utf8.dropFirst().first == UInt8(ascii: ":") else { return nil }
        switch text.utf8.first {
        case UInt8(ascii: "f"): self.text = text
        case UInt8(ascii: "v"):
            guard let value = try? JSONParser.parse(body) else { return nil }
            self = .value(value)
        case UInt8(ascii: "k"):
            guard let object = (try? JSONParser.parse(body))?.objectValue else { return nil }
            self = .key(object.members.map { ($0.key, $0.value) })
        case UInt8(ascii: "i"):
            guard let index = Int(Substring(body)), index >= 0 else { return nil }
            self = .index(index)
        default: return nil
        }
    }

    /// The member's name; `nil` for an element of a list.
    package var fieldName: String? {
        text.utf8.first == UInt8(ascii: "f") ? String(Substring(text.utf8.dropFirst(2))) : nil
    }

    package static func == (left: PathElement, right: PathElement) -> Bool { left.text.isSameBytes(as: right.text) }

    /// By bytes. Within one object or list all steps are of one form.
    package static func < (left: PathElement, right: PathElement) -> Bool {
        left.text.precedesBytes(of: right.text)
    }
}

extension PathElement: CustomStringConvertible {
    /// As messages write it: `.name`, `[name="x"]`, `[="x"]`, `[3]`.
    package var description: String {
        let body = Substring(text.utf8.dropFirst(2))
        switch text.utf8.first {
        case UInt8(ascii: "v"): return "[=\(body)]"
        case UInt8(ascii: "i"): return "[\(body)]"
        case UInt8(ascii: "k"):
            let members = (try? JSONParser.parse(body.utf8))?.objectValue?.members ?? []
            return "[\(members.map { "\($0.key)=\($0.value.text())" }.joined(separator: ","))]"
        default: return ".\(body)"
        }
    }
}

/// A field of a document, from the root.
package typealias FieldPath = [PathElement]

extension FieldPath {
    /// As messages write it: `.spec.ports[name="in"].port`.
    package var text: String { map(\.description).joined() }
}
