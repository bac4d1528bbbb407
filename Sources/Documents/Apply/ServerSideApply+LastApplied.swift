/// The annotation in which kubectl's client-side apply keeps what it applied. Who goes over to server-side apply owns
/// what it says, and it is kept up to date, so that going back is possible.
extension ServerSideApply {
    private static let annotation = "kubectl.kubernetes.io/last-applied-configuration"
    /// Kubernetes refuses annotations that are larger in all.
    private static let maximumAnnotationBytes = 256 * 1024

    /// The field manager of kubectl's server-side apply; the annotation concerns no other.
    static let lastAppliedOwner = "kubectl"

    static func lastApplied(in document: JSON) -> String? {
        let text = document["metadata"]?["annotations"]?[annotation]?.stringValue
        return text?.isEmpty == false ? text : nil
    }

    /// The fields of the last client-side apply that still are as it left them; `nil` where there was none.
    static func lastAppliedFields(in live: JSON, _ context: Context) -> FieldSet? {
        guard let text = lastApplied(in: live), let applied = try? JSONParser.parse(text.utf8),
            Document(applied).apiVersion == context.apiVersion
        else { return nil }
        let comparison = context.root.compare(applied, live)
        return context.root.fieldSet(of: applied)
            .difference(comparison.modified).difference(comparison.added).difference(comparison.removed)
    }

    /// Writes `config` into the annotation of `document`.
    static func setLastApplied(of config: JSON, in document: inout JSON) {
        var applied = config
        if var metadata = config["metadata"]?.objectValue {
            if var annotations = metadata["annotations"]?.objectValue {
                annotations[annotation] = nil
                metadata["annotations"] = annotations.isEmpty ? nil : .object(annotations)
            }
            applied["metadata"] = .object(metadata)
        }
        let text = applied.sorted.text() + "\n"
        guard var object = document.objectValue else { return }
        object.update("metadata") { metadata in
            var annotations = metadata["annotations"]?.objectValue ?? JSONObject()
            annotations[annotation] = .string(text)
            let bytes = annotations.members.reduce(0) {
                $0 + $1.key.utf8.count + ($1.value.stringValue?.utf8.count ?? 0)
            }
            if bytes > maximumAnnotationBytes { annotations[annotation] = "" }
            metadata["annotations"] = .object(annotations)
        }
        document = .object(object)
    }
}

extension JSON {
    /// The value with the members of every object in it ordered by name.
    fileprivate var sorted: JSON {
        switch self {
        case .array(let elements): return .array(elements.map(\.sorted))
        case .object(let object):
            var result = JSONObject(object.members.map { ($0.key, $0.value.sorted) })
            result.sort()
            return .object(result)
        default: return self
        }
    }
}
