internal import Client
internal import ControlLoop
internal import Documents
internal import Seams

/// One reconcile of one landscape: which revision is asked for, which attempt brings it live, what runs, where the routes
/// lead, and what the status says. A value used once.
struct LandscapePass {
    let landscape: LandscapeView
    let observed: Observation<LandscapeView>
    let settings: LoopSettings
    let now: Instant
    /// Kept revisions, oldest first.
    var revisions: [LandscapeRevision]
    /// Attempts to go live, oldest first; the last one counts.
    var attempts: [RolloutView]
    let builder: RevisionBuilder
    /// The revision the spec asks for; `nil` while it names something that is not there.
    var target: LandscapeRevision?
    var result = Outcome()

    init(_ observed: Observation<LandscapeView>, settings: LoopSettings, now: Instant) {
        self.observed = observed
        self.settings = settings
        self.now = now
        landscape = observed.primary
        let recorded = observed.children(of: Kinds.controllerRevision.resource).compactMap(LandscapeRevision.init)
            .sorted { $0.number < $1.number }
        revisions = recorded
        attempts = observed.children(of: Kinds.rollout.resource).map(RolloutView.init).sorted {
            $0.attempt < $1.attempt
        }
        builder = RevisionBuilder(
            observed.primary, view: observed.view, hash: ContentHash(key: settings.secretKey),
            known: recorded.reversed())
    }

    mutating func outcome() -> Outcome {
        decideTarget()
        decideAttempt()
        let running = runningRevisions()
        keepConfiguration()
        keepRevisions(running)
        addManagedServices()
        addWorkloads(running)
        addStableServices()
        addRoutes()
        keepAttempts()
        result.status = status()
        return result
    }

    /// The attempt that counts.
    var current: RolloutView? { attempts.last }

    func revision(_ name: String?) -> LandscapeRevision? {
        name.flatMap { name in revisions.first { $0.name.isSameBytes(as: name) } }
    }

    /// The revision that is live, or becomes it where none is.
    var serving: LandscapeRevision? { revision(current?.serving) }

    /// The other revision that takes part in the current attempt while it is under way.
    var other: LandscapeRevision? {
        guard let current, !current.isFinished, let from = current.from, from != current.to else { return nil }
        return revision(current.serving == current.to ? from : current.to)
    }

    /// Whether a revision has ever had the traffic. For the status alone: decisions must be right on old observations.
    func wasLive(_ revision: LandscapeRevision) -> Bool {
        landscape.document.status["revision"]?.text("active") == revision.name
            || attempts.contains { $0.to == revision.name && $0.hasBeenPromoted }
    }

    private mutating func decideTarget() {
        guard builder.problems.isEmpty else { return }
        if let known = revisions.last(where: { $0.digest == builder.digest }) { return target = known }
        let number = (revisions.last?.number ?? 0) + 1
        let made = LandscapeRevision(
            name: "\(landscape.name)-\(number)", number: number, digest: builder.digest, services: builder.services,
            routes: landscape.routes, spec: landscape.document.spec)
        revisions.append(made)
        target = made
        result.events.append(
            EventDraft("RevisionCreated", "\(made.name) holds what the landscape now declares", occurrence: made.name))
    }

    /// Starts an attempt where the revision asked for is neither live nor on its way. A revision that was rolled back is
    /// not tried again by itself; somebody has to decide Retry.
    private mutating func decideAttempt() {
        guard let target else { return }
        if let current {
            if current.to == target.name { return }
            if current.isFinished, current.serving == target.name { return }
        }
        let from = current.map(\.serving)
        let attempt = (current?.attempt ?? 0) + 1
        var document = Kinds.rollout.document(
            namespace: landscape.namespace, name: freeName(target.name),
            labels: [Label.partOf: landscape.name, Label.attempt: String(attempt)])
        var spec: JSONObject = ["landscape": ["name": .string(landscape.name)]]
        // Taking a change back while it is on its way: the attempt goes nowhere, it ends the one before.
        if let from, from != target.name { spec["from"] = .string(from) }
        spec["to"] = .string(target.name)
        if needsLadder(from: revision(from), to: target) {
            spec["strategy"] = .string(landscape.strategy)
            // Recreate has no steps; admission sees to it that those of BlueGreen set no weights.
            if landscape.strategy != "Recreate" { spec["steps"] = landscape.rollout["steps"] }
            spec["analysis"] = landscape.rollout["analysis"]
        } else {
            spec["strategy"] = "BlueGreen"
        }
        for member in ["onFailure", "progressDeadline", "keepPrevious"] { spec[member] = landscape.rollout[member] }
        document["spec"] = .object(spec)
        attempts.append(RolloutView(document))
        result.events.append(
            EventDraft(
                "RolloutStarted", "\(document.name) brings \(target.name) live", occurrence: "\(attempt) \(target.name)"
            ))
    }

    private func freeName(_ wanted: String) -> String {
        let taken = Set(attempts.map(\.name))
        if !taken.contains(wanted) { return wanted }
        var number = 2
        while taken.contains("\(wanted)-\(number)") { number += 1 }
        return "\(wanted)-\(number)"
    }

    /// The first deployment, a change that changes no pod, and going back to a revision that was live and is still warm
    /// need no ladder.
    private func needsLadder(from: LandscapeRevision?, to: LandscapeRevision) -> Bool {
        guard let from else { return false }
        if to.services.allSatisfy({ from.service($0.name)?.hash == $0.hash }) { return false }
        let wasLive = attempts.contains { $0.from == to.name || ($0.to == to.name && $0.phase == .promoted) }
        return !(wasLive && to.services.allSatisfy { isReady($0) })
    }

    /// The revisions whose services run: the live one, the other of the attempt under way, and those kept warm after a
    /// promotion. The live one first.
    private mutating func runningRevisions() -> [LandscapeRevision] {
        var running = [serving, other].compactMap { $0 }
        for attempt in attempts.reversed() where attempt.strategy != "Recreate" {
            guard let until = attempt.keepsFromUntil, let from = revision(attempt.from) else { continue }
            if until <= now { continue }
            result.wake(at: until)
            if !running.contains(where: { $0.name == from.name }) { running.append(from) }
        }
        return running
    }

    private mutating func keepRevisions(_ running: [LandscapeRevision]) {
        var names = Set(revisions.suffix(ReconcilerLimits.revisionsKept).map(\.name))
        names.formUnion(running.map(\.name))
        names.formUnion([current?.from, current?.to].compactMap { $0 })
        for revision in revisions where names.contains(revision.name) {
            var document = Kinds.controllerRevision.document(
                namespace: landscape.namespace, name: revision.name, labels: [Label.partOf: landscape.name])
            document["data"] = revision.data
            document["revision"] = .integer(revision.number)
            result.children.append(
                .create(Kinds.controllerRevision.resource, document, because: "a revision is recorded"))
        }
    }

    /// The copies of configuration stay as long as a revision that uses them does.
    private mutating func keepConfiguration() {
        for copy in builder.copies where builder.problems.isEmpty {
            result.children.append(
                .create(copy.key.resource, copy.document, because: "a revision pins its configuration"))
        }
        let used = Set(revisions.flatMap(\.services).flatMap(\.configuration))
        let written = Set(result.children.map(\.key))
        for resource in [Kinds.configMap.resource, Kinds.secret.resource] {
            for document in observed.children(of: resource) {
                let key = ObjectKey(resource, namespace: document.namespace, name: document.name)
                guard used.contains(key), !written.contains(key) else { continue }
                result.children.append(Child(key, .keep, because: "a kept revision uses it"))
            }
        }
    }

    private mutating func addManagedServices() {
        for service in landscape.managedServices {
            let name = service.text("name")
            var document = Kinds.managedService.document(
                namespace: landscape.namespace, name: name,
                labels: [Label.partOf: landscape.name, Label.component: name])
            var spec = service
            spec["name"] = nil
            document["spec"] = spec
            result.children.append(.apply(Kinds.managedService.resource, document, because: "the landscape names it"))
        }
    }

    private mutating func keepAttempts() {
        let old = attempts.dropLast().suffix(ReconcilerLimits.rolloutsKept).map(\.name)
        for attempt in attempts.dropLast() where old.contains(attempt.name) {
            result.children.append(.keep(Kinds.rollout.resource, attempt.document, because: "history"))
        }
        if let current {
            result.children.append(
                .create(Kinds.rollout.resource, current.document, because: "\(current.to) is to go live"))
        }
    }
}
