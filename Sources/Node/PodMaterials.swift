package import Client
internal import Documents

/// What a container is given that other documents hold: environment and volumes, resolved through the API when the
/// container starts. Secrets live in these values and in memory folders, never in an argument vector or on a disk.
package struct PodMaterials: Sendable {
    package var environment: [String]
    package var command: [String]
    /// Files by volume name, for volumes made of ConfigMaps, Secrets and the pod's own fields.
    package var files: [String: [File]]
    package var isSecret: Set<String>

    /// One file of a volume.
    package struct File: Sendable, Hashable {
        package var path: String
        package var bytes: [UInt8]
        package var mode: UInt32
    }

    /// A thing that is missing or malformed: the pod waits and says so.
    package struct Missing: Error, Sendable {
        package var message: String
    }
}

/// Resolves a pod's materials. One instance a start; remembers what it read, so that all of a container's values come
/// from one reading of each document.
package struct PodMaterialsResolver {
    private let specification: PodSpecification
    private let client: any Client
    private let facts: [String: String]
    private var read: [ObjectKey: Document?] = [:]

    /// `facts` are the pod's own fields that `fieldRef` may name, by path.
    package init(_ specification: PodSpecification, client: any Client, facts: [String: String]) {
        self.specification = specification
        self.client = client
        self.facts = facts
    }

    package mutating func resolve(defaults: [(String, String)]) async throws(PodMaterials.Missing) -> PodMaterials {
        var variables = Variables()
        for (name, value) in defaults { variables.set(name, value) }
        for source in specification.environmentSources { try await add(source, to: &variables) }
        for entry in specification.environment {
            guard let name = entry["name"]?.stringValue, !name.isEmpty else { continue }
            if let value = try await value(of: entry, variables) { variables.set(name, value) }
        }
        var files: [String: [PodMaterials.File]] = [:]
        var secrets: Set<String> = []
        for volume in specification.volumes {
            guard let name = volume["name"]?.stringValue, let content = try await content(of: volume, name) else {
                continue
            }
            files[name] = content
            if volume["secret"] != nil { secrets.insert(name) }
        }
        return PodMaterials(
            environment: variables.lines,
            command: (specification.command + specification.arguments).map(variables.expand),
            files: files, isSecret: secrets)
    }

    private mutating func add(_ source: JSON, to variables: inout Variables) async throws(PodMaterials.Missing) {
        let prefix = source["prefix"]?.stringValue ?? ""
        let isSecret = source["secretRef"] != nil
        guard let reference = source["secretRef"] ?? source["configMapRef"], let name = reference["name"]?.stringValue
        else { return }
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let document = try await document(isSecret: isSecret, name, isOptional: isOptional) else { return }
        for key in keys(document) {
            if let bytes = bytes(document, key) { variables.set(prefix + key, String(decoding: bytes, as: UTF8.self)) }
        }
    }

    private mutating func value(of entry: JSON, _ variables: Variables) async throws(PodMaterials.Missing) -> String? {
        guard let source = entry["valueFrom"] else { return variables.expand(entry["value"]?.stringValue ?? "") }
        if let path = source["fieldRef"]?["fieldPath"]?.stringValue {
            guard let fact = fact(path) else {
                throw PodMaterials.Missing(
                    message: "environment variable \(entry["name"]?.stringValue ?? ""): no field \(path)")
            }
            return fact
        }
        let isSecret = source["secretKeyRef"] != nil
        guard let reference = source["secretKeyRef"] ?? source["configMapKeyRef"],
            let name = reference["name"]?.stringValue,
            let key = reference["key"]?.stringValue
        else {
            throw PodMaterials.Missing(
                message: "environment variable \(entry["name"]?.stringValue ?? ""): unknown source")
        }
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let document = try await document(isSecret: isSecret, name, isOptional: isOptional) else { return nil }
        guard let bytes = bytes(document, key) else {
            if isOptional { return nil }
            throw PodMaterials.Missing(
                message: "couldn't find key \(key) in \(document.kind) \(specification.key.namespace)/\(name)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func content(of volume: JSON, _ name: String) async throws(PodMaterials.Missing) -> [PodMaterials
        .File]?
    {
        if volume["emptyDir"] != nil { return nil }
        guard let source = volume["configMap"] ?? volume["secret"] else {
            let kinds = (volume.objectValue?.keys).map { Array($0).filter { $0 != "name" } } ?? []
            throw PodMaterials.Missing(
                message:
                    "volume \(name): expected configMap, secret or emptyDir, found \(kinds.joined(separator: ", "))"
            )
        }
        let isSecret = volume["secret"] != nil
        let document = try await document(
            isSecret: isSecret, source["name"]?.stringValue ?? source["secretName"]?.stringValue ?? "",
            isOptional: source["optional"]?.boolValue ?? false)
        guard let document else { return [] }
        let mode = UInt32(clamping: source["defaultMode"]?.integerValue ?? 0o644)
        var items: [(key: String, path: String, mode: UInt32)] = []
        if let listed = source["items"]?.arrayValue {
            for item in listed {
                let key = item["key"]?.stringValue ?? ""
                items.append(
                    (key, item["path"]?.stringValue ?? key, UInt32(clamping: item["mode"]?.integerValue ?? Int64(mode)))
                )
            }
        } else {
            items = keys(document).map { ($0, $0, mode) }
        }
        var files: [PodMaterials.File] = []
        for item in items {
            let isInside =
                !item.path.hasPrefix("/") && !item.path.split(separator: "/").contains("..") && !item.path.isEmpty
            guard isInside, let bytes = bytes(document, item.key) else {
                throw PodMaterials.Missing(
                    message: "volume \(name): \(document.kind) \(document.name) has no key \(item.key)")
            }
            files.append(PodMaterials.File(path: item.path, bytes: bytes, mode: item.mode & 0o777))
        }
        return files
    }

    private mutating func document(
        isSecret: Bool, _ name: String, isOptional: Bool
    ) async throws(PodMaterials.Missing) -> Document? {
        let resource = GroupResource(group: "", resource: isSecret ? "secrets" : "configmaps")
        let key = ObjectKey(resource, namespace: specification.key.namespace, name: name)
        if let known = read[key] {
            if let known { return known }
        } else {
            do {
                let document = try await client.get(key)
                read[key] = .some(document)
                return document
            } catch  where error.reason == .notFound {
                read[key] = .some(nil)
            } catch {
                throw PodMaterials.Missing(
                    message: "cannot read \(isSecret ? "secret" : "configmap") \"\(name)\": \(error.message)")
            }
        }
        if isOptional { return nil }
        throw PodMaterials.Missing(message: "\(isSecret ? "secret" : "configmap") \"\(name)\" not found")
    }

    private func keys(_ document: Document) -> [String] {
        let plain = (document["data"]?.objectValue?.keys).map { Array($0) } ?? []
        let binary = (document["binaryData"]?.objectValue?.keys).map { Array($0) } ?? []
        return (plain + binary).sorted()
    }

    private func bytes(_ document: Document, _ key: String) -> [UInt8]? {
        if let text = document["data"]?[key]?.stringValue {
            return document.kind == "Secret" ? Base64.decode(text) : Array(text.utf8)
        }
        return document["binaryData"]?[key]?.stringValue.flatMap { Base64.decode($0) }
    }

    private func fact(_ path: String) -> String? {
        for (prefix, values) in [
            ("metadata.labels", specification.labels), ("metadata.annotations", specification.annotations),
        ]
        where path.hasPrefix("\(prefix)['") && path.hasSuffix("']") {
            return values[String(path.dropFirst(prefix.count + 2).dropLast(2))] ?? ""
        }
        return facts[path]
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
