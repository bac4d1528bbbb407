internal import Client
internal import ControlLoop
internal import Documents

/// A ConfigMap or Secret content that a revision pins: a copy named after what it says, so that changing the original
/// changes no revision. Nothing is patched in place.
struct ConfigurationCopy: Sendable, Equatable {
    let key: ObjectKey
    let document: Document
}

/// Something a landscape names that is not there, or cannot be run here.
struct Problem: Sendable, Equatable {
    enum Kind: Sendable { case missing, unsupported }
    let kind: Kind
    let reason: String
    let message: String
}

/// The ConfigMaps and Secrets of one service: resolved, hashed, and replaced by copies. Pure.
struct ServiceConfiguration {
    private(set) var copies: [ConfigurationCopy] = []
    private(set) var problems: [Problem] = []
    /// Digests of what is used, by where it comes from; part of the service's hash.
    private(set) var digests = JSONObject()
    /// Original → copy, by kind and name.
    private var names: [ObjectKey: String] = [:]

    private let landscape: Document
    private let service: JSON
    private let view: View
    private let hash: ContentHash

    init(_ service: JSON, landscape: Document, view: View, hash: ContentHash) {
        self.service = service
        self.landscape = landscape
        self.view = view
        self.hash = hash
        resolve(Kinds.configMap.resource, "configMapKeyRef")
        resolve(Kinds.secret.resource, "secretKeyRef")
    }

    /// The documents a service refers to, with the keys it uses of each; `nil` means all of them.
    static func references(
        _ service: JSON, _ resource: GroupResource, _ member: String
    ) -> [(name: String, keys: [String]?, isOptional: Bool)] {
        var order: [String] = []
        var keys: [String: [String]?] = [:]
        var required: Set<String> = []
        func use(_ name: String, _ key: String?, isOptional: Bool) {
            if keys[name] == nil { order.append(name) }
            if !isOptional { required.insert(name) }
            guard let key else { return keys[name] = .some(nil) }
            if case .some(nil) = keys[name] { return }
            keys[name] = .some((keys[name].flatMap { $0 } ?? []) + [key])
        }
        for variable in service.elements("env") {
            guard let reference = variable["valueFrom"]?[member] else { continue }
            use(reference.text("name"), reference.text("key"), isOptional: reference["optional"]?.boolValue ?? false)
        }
        if resource == Kinds.configMap.resource {
            for volume in service.elements("volumes") {
                guard let source = volume["configMap"] else { continue }
                let items = source.elements("items").map { $0.text("key") }
                if items.isEmpty { use(source.text("name"), nil, isOptional: false) }
                for item in items { use(source.text("name"), item, isOptional: false) }
            }
        }
        return order.map { name in
            (name, (keys[name].flatMap { $0 }).map { Array(Set($0)).sorted() }, !required.contains(name))
        }
    }

    private mutating func resolve(_ resource: GroupResource, _ member: String) {
        for (name, keys, isOptional) in Self.references(service, resource, member) {
            let original = ObjectKey(resource, namespace: landscape.namespace, name: name)
            guard let document = view.get(original) else {
                if !isOptional { missing("\(label(resource)) \(name) does not exist") }
                digests["\(resource)/\(name)"] = .null
                continue
            }
            let content = content(of: document, keys, isOptional: isOptional)
            let digest =
                resource == Kinds.secret.resource
                ? hash.secretDigest("espalier.dev/secret/v1", content)
                : ContentHash.digest("espalier.dev/configuration/v1", content)
            digests["\(resource)/\(name)"] = .string(digest)
            add(original, content, String(digest.prefix(8)))
        }
    }

    private mutating func content(of document: Document, _ keys: [String]?, isOptional: Bool) -> JSON {
        var result = JSONObject()
        for part in ["data", "binaryData"] {
            guard var members = document.json[part]?.objectValue else { continue }
            if let keys { members.filter { keys.contains($0.key) } }
            members.sort()
            if !members.isEmpty { result[part] = .object(members) }
        }
        for key in keys ?? [] where !isOptional {
            if result["data"]?[key] == nil, result["binaryData"]?[key] == nil {
                missing("\(document.kind) \(document.name) has no key \(key)")
            }
        }
        return .object(result)
    }

    private mutating func add(_ original: ObjectKey, _ content: JSON, _ digest: String) {
        let name = ChildName.hashed([landscape.name, original.name], digest)
        let kind = original.resource == Kinds.secret.resource ? Kinds.secret : Kinds.configMap
        var copy = kind.document(
            namespace: landscape.namespace, name: name, labels: [Label.partOf: landscape.name, Label.hash: digest])
        for member in content.objectValue?.members ?? [] { copy[member.key] = member.value }
        copy["immutable"] = true
        names[original] = name
        let key = ObjectKey(original.resource, namespace: original.namespace, name: name)
        if !copies.contains(where: { $0.key == key }) { copies.append(ConfigurationCopy(key: key, document: copy)) }
    }

    private mutating func missing(_ what: String) {
        problems.append(
            Problem(kind: .missing, reason: "RefNotFound", message: "service \(service.text("name")): \(what)"))
    }

    private func label(_ resource: GroupResource) -> String {
        resource == Kinds.secret.resource ? "Secret" : "ConfigMap"
    }

    /// The service with its references led to the copies.
    var pinned: JSON {
        var result = service
        result["env"] = service["env"].map { env in
            .array(env.elements.map { pin($0) })
        }
        result["volumes"] = service["volumes"].map { volumes in
            .array(
                volumes.elements.map { volume in
                    var volume = volume
                    let original = ObjectKey(
                        Kinds.configMap.resource, namespace: landscape.namespace,
                        name: volume["configMap"]?.text("name") ?? "")
                    if let name = names[original] { volume["configMap"]?["name"] = .string(name) }
                    return volume
                })
        }
        return result
    }

    private func pin(_ variable: JSON) -> JSON {
        var variable = variable
        for (member, kind) in [("configMapKeyRef", Kinds.configMap), ("secretKeyRef", Kinds.secret)] {
            guard let reference = variable["valueFrom"]?[member] else { continue }
            let original = ObjectKey(kind.resource, namespace: landscape.namespace, name: reference.text("name"))
            if let name = names[original] { variable["valueFrom"]?[member]?["name"] = .string(name) }
        }
        return variable
    }
}
