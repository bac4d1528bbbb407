package import Documents
package import Seams

/// Builds `status.conditions`. A condition keeps its transition time while its status stays the same, so that a status
/// that says the same is the same bytes.
package struct Conditions: Sendable {
    package enum Status: String, Sendable {
        case yes = "True"
        case no = "False"
        case unknown = "Unknown"
    }

    private let previous: [JSON]
    private let generation: Int64?
    private let now: Instant
    private var built: [JSON] = []

    /// `generation` is left out of the conditions where it is `nil`.
    package init(previous: JSON?, generation: Int64?, now: Instant) {
        self.previous = previous?.arrayValue ?? []
        self.generation = generation
        self.now = now
    }

    package mutating func set(_ type: String, _ status: Status, _ reason: String, _ message: String) {
        let before = Self.find(type, in: previous)
        let isSame = before?["status"]?.stringValue == status.rawValue
        let since = isSame ? before?["lastTransitionTime"]?.stringValue : nil
        var condition: JSONObject = ["type": .string(type), "status": .string(status.rawValue)]
        if let generation { condition["observedGeneration"] = .integer(generation) }
        condition["lastTransitionTime"] = .string(since ?? now.rfc3339)
        condition["reason"] = .string(reason)
        condition["message"] = .string(message)
        built.removeAll { $0["type"]?.stringValue == type }
        built.append(.object(condition))
    }

    package var json: JSON { .array(built) }

    /// Whether the condition now says something else than before: the edge that is worth an event.
    package func hasChanged(_ type: String) -> Bool {
        let before = Self.find(type, in: previous)
        let after = Self.find(type, in: built)
        return before?["status"] != after?["status"] || before?["reason"] != after?["reason"]
    }

    package static func find(_ type: String, in conditions: [JSON]) -> JSON? {
        conditions.first { $0["type"]?.stringValue == type }
    }
}

extension Document {
    package func condition(_ type: String) -> JSON? { Conditions.find(type, in: status.elements("conditions")) }

    package func isTrue(_ type: String) -> Bool { condition(type)?["status"]?.stringValue == "True" }
}
