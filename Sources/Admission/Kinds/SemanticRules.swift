import Documents

/// The rules of a kind that a schema cannot say. Each kind has a file of its own in this folder; a rule sees the
/// document and its old version, never another document.
enum SemanticRules {
    static func errors(of request: AdmissionRequest) -> [FieldError] {
        if request.subresource != nil || request.old.map({ isSameBody($0, request.new) }) ?? false { return [] }
        let definition = request.definition
        let rules: (inout RuleContext) -> Void
        switch (definition.group, definition.kind) {
        case ("espalier.dev", "Landscape"): rules = LandscapeRules.check
        case ("espalier.dev", "Route"): rules = RouteRules.check
        case ("espalier.dev", "Rollout"): rules = RolloutRules.check
        case ("espalier.dev", "Workspace"): rules = WorkspaceRules.check
        case ("espalier.dev", "ManagedService"): rules = ManagedServiceRules.check
        case ("espalier.dev", "PreviewDeployment"): rules = PreviewDeploymentRules.check
        case ("espalier.dev", "Plan"): rules = PlanRules.check
        case ("apiextensions.k8s.io", "CustomResourceDefinition"): rules = ResourceDefinitionRules.check
        default:
            guard definition.isBuiltIn, let builtIn = BuiltInRules.rules(for: definition) else { return [] }
            rules = builtIn
        }
        var context = RuleContext(document: request.new, old: request.old)
        rules(&context)
        return context.errors
    }

    /// Whether two documents differ at most in metadata and status. What is stored is not judged again.
    private static func isSameBody(_ left: Document, _ right: Document) -> Bool {
        func body(_ document: Document) -> JSON {
            var json = document.json
            json["metadata"] = nil
            json["status"] = nil
            return json
        }
        return body(left) == body(right)
    }
}

/// What a kind's rules look at and write to.
struct RuleContext {
    let document: Document
    /// The stored document on an update; `nil` on a create.
    let old: Document?
    private(set) var errors: [FieldError] = []

    init(document: Document, old: Document?) {
        self.document = document
        self.old = old
    }

    mutating func report(_ error: FieldError) {
        if errors.count < AdmissionLimits.errors { errors.append(error) }
    }

    /// Whether the part of the document at `path` is new or other than what is stored.
    func hasChanged(_ path: String...) -> Bool {
        guard let old else { return true }
        return document.json[path: path] != old.json[path: path]
    }

    /// Reports every value of `values` that was there before.
    mutating func requireUnique(_ values: [(field: String, value: JSON)]) {
        var seen = Set<JSON>()
        for entry in values where !seen.insert(entry.value).inserted { report(.duplicate(entry.field, entry.value)) }
    }

    /// A field that keeps its first value.
    mutating func requireImmutable(_ field: String, _ path: [String]) {
        guard let old, let value = document.json[path: path], let before = old.json[path: path], value != before else {
            return
        }
        report(.immutable(field, value))
    }

    /// A duration in Gateway API form that is inside `bounds`.
    mutating func requireDuration(_ value: JSON?, _ field: String, in bounds: ClosedRange<Duration>) {
        guard let text = value?.stringValue else { return }
        guard let duration = TimeSpan.parse(text) else {
            return report(.invalid(field, .string(text), "must be a duration such as 300ms, 30s, 15m or 1h30m"))
        }
        if bounds.contains(duration) { return }
        let allowed = "between \(TimeSpan.text(bounds.lowerBound)) and \(TimeSpan.text(bounds.upperBound))"
        report(.invalid(field, .string(text), "must be \(allowed)"))
    }
}

/// Durations as Gateway API writes them: up to four of `h`, `m`, `s`, `ms`, whole numbers of up to five digits.
enum TimeSpan {
    static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        var total = Duration.zero
        var parts = 0
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            guard !digits.isEmpty, digits.utf8.count <= 5, let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            switch unit {
            case "h": total += .seconds(number * 3600)
            case "m": total += .seconds(number * 60)
            case "s": total += .seconds(number)
            case "ms": total += .milliseconds(number)
            default: return nil
            }
            parts += 1
        }
        return (1...4).contains(parts) ? total : nil
    }

    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        let parts = [(seconds / 3600, "h"), (seconds % 3600 / 60, "m"), (seconds % 60, "s"), (milliseconds, "ms")]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }
}
