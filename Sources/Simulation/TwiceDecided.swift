internal import Client
internal import ControlLoop
internal import Documents
internal import Seams

/// A reconciler that decides everything twice and insists on the same answer, byte for byte: what "pure" promises.
struct TwiceDecided<Base: Reconciler>: Reconciler {
    let base: Base

    var primary: ResourceInformation { base.primary }
    var owner: FieldOwner { base.owner }
    var interests: [Interest] { base.interests }

    func reconcile(_ observed: Observation<Base.Primary>, now: Instant) -> Outcome {
        let first = base.reconcile(observed, now: now)
        let second = base.reconcile(observed, now: now)
        let isSame = first == second && Self.bytes(first) == Self.bytes(second)
        precondition(isSame, "\(owner.name) decided differently about \(observed.primary.document.name)")
        return first
    }

    private static func bytes(_ outcome: Outcome) -> [[UInt8]] {
        outcome.children.map { child in
            switch child.intent {
            case .apply(let document), .create(let document): document.json.encoded
            case .keep: []
            }
        } + [outcome.status?.encoded ?? []]
    }
}

extension Reconciler {
    /// The same reconciler, decided twice.
    var twice: any Reconciler { TwiceDecided<Self>(base: self) }
}
