import Documents
import Seams
import Testing

/// JSON from text, for tests.
func fixture(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) -> JSON {
    do { return try JSONParser.parse(text.utf8) } catch {
        Issue.record("the test's JSON is malformed: \(error)", sourceLocation: sourceLocation)
        return .null
    }
}

/// A schema with every way to merge: objects, maps, atomic objects and lists, sets, lists by key, unknown fields.
let widget = Schema(
    fixture(
        """
        {"type": "object", "properties": {
          "spec": {"type": "object", "properties": {
            "color": {"type": "string"},
            "size": {"type": "integer"},
            "limit": {"x-kubernetes-int-or-string": true},
            "frame": {"type": "object", "properties": {
              "material": {"type": "string"},
              "lid": {"type": "object", "properties": {"hinged": {"type": "boolean"}}}}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
              "type": "object", "properties": {
                "name": {"type": "string"}, "port": {"type": "integer"}, "target": {"type": "integer"}}}},
            "taps": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
              "items": {"type": "object", "properties": {
                "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "note": {"type": "string"}}}},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "words": {"type": "array", "items": {"type": "string"}},
            "choice": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
              "a": {"type": "string"}, "b": {"type": "string"}}},
            "notes": {"type": "object", "additionalProperties": {"type": "string"}},
            "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
          "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}}}}
        """))

/// One document that several managers write, as the API server would let them.
struct Stage {
    var live: JSON?
    var schema = widget
    var hasStatus = false
    private(set) var seconds: Int64 = 1_700_000_000

    /// Applies a widget's `body` (its members beside apiVersion, kind and name). Time passes with every write.
    mutating func apply(
        _ manager: String, _ body: String, force: Bool = false, subresource: String? = nil
    ) throws(APIError) {
        try apply(manager, document: widgetDocument(body), force: force, subresource: subresource)
    }

    mutating func apply(
        _ manager: String, document: JSON, force: Bool = false, subresource: String? = nil
    ) throws(APIError) {
        seconds += 1
        live = try ServerSideApply.apply(
            config: document, to: live, schema: schema, manager: manager, apiVersion: "example.com/v1",
            subresource: subresource, force: force, now: Instant(seconds: seconds), hasStatus: hasStatus)
    }

    /// A create or an update with the whole document.
    mutating func write(_ manager: String, document: JSON, subresource: String? = nil) {
        seconds += 1
        live = ServerSideApply.update(
            from: live, to: document, schema: schema, manager: manager, apiVersion: "example.com/v1",
            subresource: subresource, now: Instant(seconds: seconds), hasStatus: hasStatus)
    }

    mutating func create(_ manager: String, _ body: String) { write(manager, document: widgetDocument(body)) }

    mutating func patch(_ manager: String, _ patch: String, subresource: String? = nil) {
        write(manager, document: MergePatch.apply(fixture(patch), to: live ?? .null), subresource: subresource)
    }

    /// `manager operation[ subresource]: fieldsV1`, a line for each entry.
    var owners: [String] {
        (live?["metadata"]?["managedFields"]?.arrayValue ?? []).map { entry in
            let subresource = entry["subresource"]?.stringValue.map { " " + $0 } ?? ""
            let name = "\(entry["manager"]?.stringValue ?? "?") \(entry["operation"]?.stringValue ?? "?")"
            return "\(name)\(subresource): \(entry["fieldsV1"]?.text() ?? "?")"
        }
    }

    func time(of manager: String) -> String? {
        live?["metadata"]?["managedFields"]?.arrayValue?.first { $0["manager"] == .string(manager) }?["time"]?
            .stringValue
    }

    var spec: JSON? { live?["spec"] }
}

func widgetDocument(_ body: String) -> JSON {
    var document = fixture(#"{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "alpha"}}"#)
    let given = fixture(body)
    for member in given.objectValue?.members ?? [] where member.key != "metadata" {
        document[member.key] = member.value
    }
    for member in given["metadata"]?.objectValue?.members ?? [] { document["metadata"]?[member.key] = member.value }
    return document
}
