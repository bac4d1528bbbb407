internal import Client
internal import ControlLoop
internal import Documents

/// The ControllerRevisions of a primary: what its pods were and are to be made of, in the form that
/// `kubectl rollout history` and `undo` read. Pure.
struct RevisionHistory {
    /// What pods are to be made of now.
    let update: Document
    /// Ascending by number; `update` is among them or new.
    private let known: [Document]
    private let intent: Child

    /// `known` are the primary's revisions, `template` what it says now. A template that was there before takes its old
    /// revision up again, with the next number.
    init(of primary: Document, known revisions: [Document], template: JSON) {
        known = revisions.sorted { (Self.number($0), $0.name) < (Self.number($1), $1.name) }
        var whole = template
        whole["$patch"] = "replace"
        let data: JSON = ["spec": ["template": whole]]
        let next = (known.map(Self.number).max() ?? 0) + 1
        if var found = known.last(where: { $0["data"]?.canonical == data.canonical }) {
            if found.uid == known.last?.uid {
                intent = .keep(Kinds.controllerRevision.resource, found, because: "it is the newest")
            } else {
                var document = Kinds.controllerRevision.document(namespace: found.namespace, name: found.name)
                document.metadata["labels"] = found.metadata["labels"]
                document["data"] = found["data"]
                document["revision"] = .integer(Int64(next))
                found["revision"] = document["revision"]
                intent = .apply(Kinds.controllerRevision.resource, document, because: "it is wanted again")
            }
            update = found
            return
        }
        let hash = String(ContentHash.digest("espalier.dev/pod-template/v1", template).prefix(10))
        var document = Kinds.controllerRevision.document(
            namespace: primary.namespace, name: "\(primary.name)-\(hash)")
        var labels = template["metadata"]?["labels"] ?? [:]
        labels["controller.kubernetes.io/hash"] = .string(hash)
        document.metadata["labels"] = labels
        document["data"] = data
        document["revision"] = .integer(Int64(next))
        update = document
        intent = .create(Kinds.controllerRevision.resource, document, because: "the template is new")
    }

    static func number(_ revision: Document) -> Int { revision.json.integer("revision") ?? 0 }

    func named(_ name: String) -> Document? { name == update.name ? update : known.first { $0.name == name } }

    static func template(of revision: Document) -> JSON {
        var template = revision["data"]?["spec"]?["template"] ?? [:]
        template["$patch"] = nil
        return template
    }

    /// The revisions that stay: those in use, and the newest `limit` of the others.
    func children(inUse: Set<String>, limit: Int) -> [Child] {
        let others = known.filter { $0.name != update.name }
        let spare = others.filter { !inUse.contains($0.name) }.dropLast(limit).map(\.name)
        return others.filter { !spare.contains($0.name) }.map {
            .keep(Kinds.controllerRevision.resource, $0, because: "history")
        } + [intent]
    }
}
