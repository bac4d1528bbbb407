internal import Client
internal import Documents

/// The ConfigMaps and Secrets a pod names, read through the API, and the pod's own fields. One instance a start or a
/// writing of volumes; remembers what it read, so that all values come from one reading of each document.
struct PodDocuments {
    let specification: PodSpecification
    private let client: any Client
    /// The pod's own fields that `fieldRef` may name, by path.
    private let facts: [String: String]
    private var read: [ObjectKey: Document?] = [:]

    init(_ specification: PodSpecification, client: any Client, facts: [String: String]) {
        self.specification = specification
        self.client = client
        self.facts = facts
    }

    /// `nil` where it is not there and need not be.
    mutating func document(
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
                    "cannot read \(isSecret ? "secret" : "configmap") \"\(name)\": \(error.message)")
            }
        }
        if isOptional { return nil }
        throw PodMaterials.Missing("\(isSecret ? "secret" : "configmap") \"\(name)\" not found")
    }

    static func keys(_ document: Document) -> [String] {
        let plain = (document["data"]?.objectValue?.keys).map { Array($0) } ?? []
        let binary = (document["binaryData"]?.objectValue?.keys).map { Array($0) } ?? []
        return (plain + binary).sorted()
    }

    static func bytes(_ document: Document, _ key: String) -> [UInt8]? {
        if let text = document["data"]?[key]?.stringValue {
            return document.kind == "Secret" ? Base64.decode(text) : Array(text.utf8)
        }
        return document["binaryData"]?[key]?.stringValue.flatMap { Base64.decode($0) }
    }

    /// A field of the pod, as `fieldRef` names it.
    func field(_ path: String) -> String? {
        for (prefix, values) in [
            ("metadata.labels", specification.labels), ("metadata.annotations", specification.annotations),
        ] {
            if path == prefix {
                return values.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.quoted($0.value))" }
                    .joined(separator: "\n")
            }
            if path.hasPrefix("\(prefix)['"), path.hasSuffix("']") {
                return values[String(path.dropFirst(prefix.count + 2).dropLast(2))] ?? ""
            }
        }
        return facts[path]
    }

    /// In double quotes, with what is special in them escaped.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for character in text.unicodeScalars {
            switch character {
            case "\"", "\\": result += "\\\(character)"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result + "\""
    }

    /// A resource of a container, as `resourceFieldRef` names it: in units of the divisor, rounded up. What is not
    /// limited is what the node has.
    func resource(_ source: JSON, default name: String) throws(PodMaterials.Missing) -> String {
        let named = source["containerName"]?.stringValue ?? name
        guard let resources = specification.container(named)?.resources else {
            throw PodMaterials.Missing("resourceFieldRef: no container \(named)")
        }
        let path = source["resource"]?.stringValue ?? ""
        let thousandths: Int128
        switch path {
        case "limits.cpu": thousandths = Int128(resources.limitCPU ?? MachineSize.cpu)
        case "requests.cpu": thousandths = Int128(resources.requestedCPU ?? 0)
        case "limits.memory": thousandths = Int128(resources.limitMemory ?? MachineSize.memory) * 1000
        case "requests.memory": thousandths = Int128(resources.requestedMemory ?? 0) * 1000
        default:
            throw PodMaterials.Missing(
                "resourceFieldRef \(path): expected limits.cpu, limits.memory, requests.cpu or requests.memory")
        }
        let text = source["divisor"]?.stringValue ?? "1"
        let divisor = text == "0" ? 1_000_000_000 : Quantity(parsing: text)?.nanos ?? 1_000_000_000
        let nanos = thousandths * 1_000_000
        return String((nanos + divisor - 1) / max(1, divisor))
    }
}
