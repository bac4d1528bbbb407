import Client
import ControlLoop
import Documents
import Reconcilers
import Seams

/// Documents as a loop would see them, and what it makes of them.
struct Scene {
    var now = Instant(seconds: 1_790_000_000)
    private(set) var cache = Cache()

    mutating func put(_ kind: ResourceInformation, _ document: Document) {
        cache.apply(WatchEvent(.added, kind.resource, document))
    }

    mutating func remove(_ kind: ResourceInformation, _ document: Document) {
        cache.apply(WatchEvent(.deleted, kind.resource, document))
    }

    func list(_ kind: ResourceInformation) -> [Document] { cache.all(kind.resource) }
    func names(_ kind: ResourceInformation) -> [String] { list(kind).map(\.name) }

    func decide(
        _ reconciler: some Reconciler, _ name: String, namespace: String = "team-a", refusals: [Refusal] = []
    ) -> Outcome {
        let key = ObjectKey(reconciler.primary.resource, namespace: namespace, name: name)
        guard let document = cache.get(key) else { return Outcome() }
        let kinds = Set(reconciler.interests.filter(\.isChild).map(\.resource))
        let children = cache.controlled(by: document.uid).filter { kinds.contains($0.key.resource) }
        return reconciler.decide(document, children: children, refusals: refusals, view: View(cache), now: now)
    }

    /// A document of the team, with a UID that is its name.
    static func document(_ kind: ResourceInformation, _ name: String, _ members: JSON, owner: Document? = nil)
        -> Document
    {
        var document = kind.document(namespace: kind.isNamespaced ? "team-a" : "", name: name)
        document.metadata["uid"] = .string("uid-\(name)")
        document.metadata["generation"] = 1
        document.metadata["creationTimestamp"] = "2026-09-01T00:00:00Z"
        for member in members.objectValue?.members ?? [] {
            if member.key == "metadata" {
                for inner in member.value.objectValue?.members ?? [] { document.metadata[inner.key] = inner.value }
            } else {
                document[member.key] = member.value
            }
        }
        if let owner { document.metadata["ownerReferences"] = [OwnerReference(controller: owner).json] }
        return document
    }
}

extension Outcome {
    /// Names of the documents to be made.
    var created: [String] { made.map(\.name) }

    /// The documents to be made, children and others.
    var made: [Document] {
        children.compactMap { if case .create(let document) = $0.intent { document } else { nil } }
            + others.compactMap { if case .create(let document) = $0.intent { document } else { nil } }
    }

    /// Names of the documents to be deleted by name.
    var deleted: [String] {
        others.compactMap { if case .delete = $0.intent { $0.key.name } else { nil } }
    }

    var reasons: [String] { events.map(\.reason) }

    func condition(_ type: String) -> String? {
        (status?["conditions"]?.arrayValue ?? []).first { $0["type"]?.stringValue == type }.map {
            "\($0["status"]?.stringValue ?? "") \($0["reason"]?.stringValue ?? "")"
        }
    }
}
