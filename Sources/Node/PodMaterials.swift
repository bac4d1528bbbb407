internal import Documents

/// What one container is given that other documents hold: its environment and its command, resolved when it starts.
/// Secrets live in these values, never in an argument vector.
struct PodMaterials: Sendable {
    var environment: [String]
    var command: [String]

    /// A thing that is missing or malformed: the pod waits and says so.
    struct Missing: Error, Sendable {
        var reason: String
        var message: String

        init(_ message: String, reason: String = "CreateContainerConfigError") {
            self.reason = reason
            self.message = message
        }
    }

    /// `defaults` are what the node and the image set; what the container names replaces them. `command` is run where
    /// the container names none, `arguments` where it names neither.
    static func resolve(
        _ container: ContainerSpecification, from documents: inout PodDocuments, defaults: [(String, String)],
        command: [String] = [], arguments: [String] = []
    ) async throws(Missing) -> PodMaterials {
        var variables = Variables()
        for (name, value) in defaults { variables.set(name, value) }
        for source in container.environmentSources { try await add(source, from: &documents, to: &variables) }
        for entry in container.environment {
            guard let name = entry["name"]?.stringValue, !name.isEmpty else { continue }
            if let value = try await value(of: entry, name, container, from: &documents, variables) {
                variables.set(name, value)
            }
        }
        let first = container.command.isEmpty ? command : container.command.map(variables.expand)
        let isBare = container.command.isEmpty && container.arguments.isEmpty
        let words = first + (isBare ? arguments : container.arguments.map(variables.expand))
        guard !words.isEmpty else { throw Missing("no command: neither the container nor its image names one") }
        return PodMaterials(environment: variables.lines, command: words)
    }

    private static func add(
        _ source: JSON, from documents: inout PodDocuments, to variables: inout Variables
    ) async throws(Missing) {
        let prefix = source["prefix"]?.stringValue ?? ""
        let isSecret = source["secretRef"] != nil
        guard let reference = source["secretRef"] ?? source["configMapRef"], let name = reference["name"]?.stringValue
        else { return }
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let document = try await documents.document(isSecret: isSecret, name, isOptional: isOptional) else {
            return
        }
        for key in PodDocuments.keys(document) {
            guard let bytes = PodDocuments.bytes(document, key) else { continue }
            variables.set(prefix + key, String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func value(
        of entry: JSON, _ variable: String, _ container: ContainerSpecification, from documents: inout PodDocuments,
        _ variables: Variables
    ) async throws(Missing) -> String? {
        guard let source = entry["valueFrom"] else { return variables.expand(entry["value"]?.stringValue ?? "") }
        if let path = source["fieldRef"]?["fieldPath"]?.stringValue {
            guard let field = documents.field(path) else {
                throw Missing("environment variable \(variable): no field \(path)")
            }
            return field
        }
        if let resource = source["resourceFieldRef"] {
            return try documents.resource(resource, default: container.name)
        }
        let isSecret = source["secretKeyRef"] != nil
        guard let reference = source["secretKeyRef"] ?? source["configMapKeyRef"],
            let name = reference["name"]?.stringValue,
            let key = reference["key"]?.stringValue
        else { throw Missing("environment variable \(variable): unknown source") }
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let document = try await documents.document(isSecret: isSecret, name, isOptional: isOptional) else {
            return nil
        }
        if let bytes = PodDocuments.bytes(document, key) { return String(decoding: bytes, as: UTF8.self) }
        if isOptional { return nil }
        throw Missing("couldn't find key \(key) in \(document.kind) \(document.namespace)/\(name)")
    }
}

/// Environment variables in the order they were first set; a later value replaces an earlier one.
struct Variables {
    private var names: [String] = []
    private var values: [String: String] = [:]

    var lines: [String] { names.map { "\($0)=\(values[$0] ?? "")" } }

    mutating func set(_ name: String, _ value: String) {
        if values.updateValue(value, forKey: name) == nil { names.append(name) }
    }

    /// Fills in `$(NAME)`; `$$(NAME)` and unknown names stay as Kubernetes leaves them.
    func expand(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                result += "$"
                rest = rest.dropFirst()
            } else if rest.first == "(", let end = rest.firstIndex(of: ")"),
                let value = values[String(rest[rest.index(after: rest.startIndex)..<end])]
            {
                result += value
                rest = rest[rest.index(after: end)...]
            } else {
                result += "$"
            }
        }
        return result + rest
    }
}
