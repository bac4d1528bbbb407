package import Documents
package import Seams

/// The two times a decision needs: the wall clock's for documents, the monotonic one for waits.
package struct Moment: Sendable, Hashable {
    package var wall: Instant
    package var monotonic: Duration

    package init(wall: Instant, monotonic: Duration) {
        self.wall = wall
        self.monotonic = monotonic
    }
}

/// The life of one pod, decided: first its network and volumes, then its init containers one after the other, then all
/// others, and at its end the containers before the sidecars. The runner feeds it what happened and carries out the
/// actions it answers; `status` says what the pod's document should hold. Pure: no clock, no I/O.
package struct PodMachine: Sendable {
    /// What an agent finds of a pod that it did not start itself.
    package enum Found: Sendable, Hashable {
        /// By container name; a container that is missing was never started.
        case containers([String: ContainerMachine.Finding])
        /// The document says that the pod is over, and nothing of it is left here.
        case over
    }

    package enum Event: Sendable {
        case begin(Found)
        case prepared(address: String)
        case preparationFailed(reason: String, message: String)
        case container(String, ContainerMachine.Event)
        /// The document has its deletionTimestamp. A second, shorter grace replaces the first.
        case deletionRequested(grace: Duration)
        /// The document has gone without us.
        case documentGone
        case cleaned
        case tick
    }

    package enum Action: Sendable, Hashable {
        /// Address, volumes, folders; harmless where they are there already.
        case prepare
        /// Takes note of the address of a pod that runs already.
        case adopt
        case container(String, ContainerMachine.Action)
        /// Everything of the pod, once no process is left.
        case clean
        case deleteDocument
        case event(type: String, reason: String, message: String)
    }

    enum Stage: Sendable, Equatable { case preparing, preparationWaits, active, ended, cleaning, gone }

    package let specification: PodSpecification
    private(set) var stage = Stage.preparing
    package private(set) var containers: [ContainerMachine]
    private(set) var address: String
    private(set) var begun: Instant?
    private(set) var trouble: (reason: String, message: String)?
    /// Why the node ended the pod before its containers did.
    private(set) var failure: (reason: String, message: String)?
    var conditions: [PodCondition]
    package private(set) var isDocumentGone = false
    /// Whether `status` has anything to say that the document does not.
    package private(set) var isReported = true
    private(set) var isDeleting = false

    private var preparationFailures = 0
    private var retryAt: Duration?
    private var deadline: Duration?
    private var deletionGrace: Duration?
    /// Whether what is to be prepared runs already.
    private var isAdopting = false
    private let drain: Duration
    /// `qosClass`, which the API decided when the pod was made.
    let qualityOfService: JSON?

    /// `observed` is the status that the document holds, possibly written by an earlier life of this agent; `drain` is
    /// how long a ready pod goes on serving after its deletion was asked for, while traffic is led away.
    package init(_ specification: PodSpecification, observed: JSON, drain: Duration) {
        self.specification = specification
        self.drain = drain
        let known = ["initContainerStatuses", "containerStatuses"].flatMap { observed[$0]?.arrayValue ?? [] }
        containers = specification.containers.map { container in
            let status = known.first { $0["name"]?.stringValue == container.name } ?? [:]
            return ContainerMachine(
                container, observed: status, podName: specification.key.name, grace: specification.gracePeriod)
        }
        begun = observed["startTime"]?.stringValue.flatMap(Instant.init(rfc3339:))
        address = observed["podIP"]?.stringValue ?? ""
        conditions = PodCondition.all(observed)
        qualityOfService = observed["qosClass"]
    }

    package var isGone: Bool { stage == .gone }
    /// Whether its volumes are written, and are still needed.
    package var hasVolumes: Bool { stage == .active }

    package func container(_ name: String) -> ContainerMachine? { containers.first { $0.specification.name == name } }

    package mutating func on(_ event: Event, now: Moment) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .begin(let found): begin(found, now: now, &actions)
        case .prepared(let address): onPrepared(address, &actions)
        case .preparationFailed(let reason, let message): onPreparationFailed(reason, message, now: now, &actions)
        case .container(let name, let event): change(name, &actions) { $0.on(event, now: now, &$1) }
        case .deletionRequested(let grace): onDeletion(grace, now: now, &actions)
        case .documentGone:
            isDocumentGone = true
            onDeletion(specification.gracePeriod, now: now, &actions)
        case .cleaned:
            if !isDocumentGone { actions.append(.deleteDocument) }
            stage = .gone
        case .tick: break
        }
        onTime(now, &actions)
        advance(now, &actions)
        return actions
    }

    /// When the machine wants to be asked again at the latest.
    package var wakeAt: Duration? {
        let times = containers.compactMap { $0.wakeAt(mayStart: mayStart($0)) }
        return (times + [retryAt, isTimed ? deadline : nil].compactMap { $0 }).min()
    }

    private var isTimed: Bool { (stage == .active || stage == .preparationWaits) && failure == nil && !isDeleting }
}

extension PodMachine {
    private mutating func change(
        _ name: String, _ actions: inout [Action],
        _ body: (inout ContainerMachine, inout [ContainerMachine.Action]) -> Void
    ) {
        guard let index = containers.firstIndex(where: { $0.specification.name == name }) else { return }
        change(index, &actions, body)
    }

    private mutating func change(
        _ index: Int, _ actions: inout [Action],
        _ body: (inout ContainerMachine, inout [ContainerMachine.Action]) -> Void
    ) {
        var wanted: [ContainerMachine.Action] = []
        body(&containers[index], &wanted)
        let name = containers[index].specification.name
        actions += wanted.map { .container(name, $0) }
    }

    private mutating func begin(_ found: Found, now: Moment, _ actions: inout [Action]) {
        begun = begun ?? now.wall
        if let limit = specification.activeDeadline, let begun {
            deadline = now.monotonic + max(.zero, limit - (now.wall - begun))
        }
        guard case .containers(let findings) = found else {
            stage = .ended
            isReported = false
            return
        }
        if findings.isEmpty, isDeleting {
            // Nothing of it is here, and nothing is to be made.
            stage = .ended
            isReported = false
            return
        }
        if findings.isEmpty, let obstacle = specification.obstacle {
            stage = .preparationWaits
            trouble = ("CreateContainerConfigError", obstacle)
            return
        }
        for index in containers.indices {
            guard let finding = findings[containers[index].specification.name] else { continue }
            change(index, &actions) { $0.take(finding, now: now, &$1) }
        }
        // What init containers left in memory is gone after a reboot.
        if findings.values.contains(where: \.wasShutDown) {
            for index in containers.indices where containers[index].specification.role == .initial {
                containers[index].beginAnew()
            }
        }
        let isComplete = containers.allSatisfy { $0.stage == .running || $0.stage == .ended }
        if isComplete, !containers.contains(where: { $0.stage == .running }) {
            stage = .active  // Nothing will run: `advance` finds it ended.
        } else {
            isAdopting = isComplete
            actions.append(isComplete ? .adopt : .prepare)
        }
    }

    private mutating func onPrepared(_ address: String, _ actions: inout [Action]) {
        self.address = address
        guard stage == .preparing || stage == .preparationWaits else { return }
        preparationFailures = 0
        retryAt = nil
        trouble = nil
        stage = .active
    }

    private mutating func onPreparationFailed(
        _ reason: String, _ message: String, now: Moment, _ actions: inout [Action]
    ) {
        guard stage == .preparing || stage == .preparationWaits else { return }
        stage = .preparationWaits
        if trouble?.message != message {
            actions.append(.event(type: "Warning", reason: reason, message: message))
        }
        trouble = (reason, message)
        preparationFailures += 1
        let doubled = Limits.firstPreparationRetry * (1 << min(preparationFailures - 1, 10))
        retryAt = now.monotonic + min(doubled, Limits.maximumPreparationRetry)
    }

    private mutating func onDeletion(_ grace: Duration, now: Moment, _ actions: inout [Action]) {
        let isFirst = !isDeleting
        isDeleting = true
        guard stage != .cleaning, stage != .gone else { return }
        // Every change of a document that is being deleted asks again.
        if let before = deletionGrace, grace >= before { return }
        deletionGrace = grace
        // Nobody waits for a container that nobody sends traffic to.
        let isServing = isFirst && isReady && grace > .zero && !isDocumentGone
        for index in containers.indices where containers[index].specification.role != .sidecar {
            let pause = isServing && !containers[index].specification.ports.isEmpty ? drain : .zero
            change(index, &actions) { $0.stop(pause: pause, grace: grace, now: now, &$1) }
        }
        for index in containers.indices where containers[index].specification.role == .sidecar {
            // They serve the others until these have ended; `advance` tells them then.
            change(index, &actions) { $0.stop(pause: grace, grace: grace, now: now, &$1) }
        }
    }

    private mutating func onTime(_ now: Moment, _ actions: inout [Action]) {
        if let retryAt, retryAt <= now.monotonic, stage == .preparationWaits {
            self.retryAt = nil
            if !isDeleting {
                stage = .preparing
                actions.append(isAdopting ? .adopt : .prepare)
            }
        }
        if let deadline, deadline <= now.monotonic, isTimed {
            stage = .active
            retryAt = nil
            trouble = nil
            failure = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            let grace = specification.gracePeriod
            for index in containers.indices {
                change(index, &actions) { $0.stop(pause: .zero, grace: grace, now: now, &$1) }
            }
        }
        for index in containers.indices {
            let mayStart = mayStart(containers[index])
            change(index, &actions) { $0.onTime(now, mayStart: mayStart, &$1) }
        }
    }

    private func mayStart(_ container: ContainerMachine) -> Bool {
        stage == .active && (container.specification.role != .main || isInitialized)
    }

    /// What follows from where the containers are: whose turn it is, whether the pod is over, whether all may go.
    private mutating func advance(_ now: Moment, _ actions: inout [Action]) {
        if isDeleting, stage == .preparationWaits || stage == .ended || stage == .active {
            stopSidecars(now, &actions)
            guard containers.allSatisfy(\.isAtRest) else { return }
            retryAt = nil
            stage = .cleaning
            actions.append(.clean)
            return
        }
        guard stage == .active else { return }
        if failure == nil, isInitialized(now, &actions) {
            for index in containers.indices
            where containers[index].specification.role == .main && containers[index].stage == .waiting {
                change(index, &actions) { $0.begin(&$1) }
            }
        }
        guard isDone else { return }
        stopSidecars(now, &actions)
        if containers.allSatisfy(\.isAtRest) { stage = .ended }
    }

    /// Whether the init containers are through; begins the next one whose turn it is.
    private mutating func isInitialized(_ now: Moment, _ actions: inout [Action]) -> Bool {
        for index in containers.indices where containers[index].specification.role != .main {
            let container = containers[index]
            if container.stage == .waiting { change(index, &actions) { $0.begin(&$1) } }
            let isThrough =
                container.specification.role == .sidecar
                ? containers[index].isStarted : container.stage == .ended && container.exit?.code == 0
            if !isThrough { return hasMainBegun }
        }
        return true
    }

    private var hasMainBegun: Bool { containers.contains { $0.specification.role == .main && $0.stage != .waiting } }

    /// Whether what the pod is for is over: all main containers ended, or an init container failed for good.
    private var isDone: Bool {
        let isFailed = containers.contains {
            $0.specification.role == .initial && $0.stage == .ended && $0.exit?.code != 0
        }
        if isFailed || failure != nil {
            return containers.allSatisfy { $0.specification.role == .sidecar || $0.isAtRest }
        }
        return containers.allSatisfy { $0.specification.role != .main || $0.stage == .ended }
    }

    /// Tells the sidecars, the last one first, once everything else has come to rest.
    private mutating func stopSidecars(_ now: Moment, _ actions: inout [Action]) {
        guard containers.allSatisfy({ $0.specification.role == .sidecar || $0.isAtRest }) else { return }
        let grace = specification.gracePeriod
        for index in containers.indices.reversed()
        where containers[index].specification.role == .sidecar && !containers[index].isAtRest {
            if containers[index].stage == .running || !containers[index].isStopping {
                change(index, &actions) { $0.stop(pause: .zero, grace: grace, now: now, &$1) }
            }
            if !containers[index].isAtRest { return }
        }
    }

    var isReady: Bool { failure == nil && containers.allSatisfy { $0.specification.role == .initial || $0.isReady } }

    var isInitialized: Bool {
        containers.allSatisfy { container in
            switch container.specification.role {
            case .initial: container.stage == .ended && container.exit?.code == 0
            case .sidecar: container.isStarted || container.exit != nil
            case .main: true
            }
        }
    }

    /// As Kubernetes computes it.
    var phase: String {
        let mains = containers.filter { $0.specification.role == .main }
        let isOver = stage == .ended || stage == .cleaning || stage == .gone
        if failure != nil, isOver { return "Failed" }
        let initial = containers.filter { $0.specification.role == .initial }
        if isOver, initial.contains(where: { $0.exit.map { $0.code != 0 } ?? false }) { return "Failed" }
        let isNew = { (container: ContainerMachine) in
            container.stage != .running && container.exit == nil && container.previousExit == nil
                && container.attempt == 0
        }
        if !isOver, mains.contains(where: isNew) { return "Pending" }
        if mains.contains(where: { $0.stage == .running || $0.stage == .restartWaits }) { return "Running" }
        if isOver, mains.allSatisfy({ $0.exit != nil }) {
            return mains.allSatisfy { $0.exit?.code == 0 } ? "Succeeded" : "Failed"
        }
        let hasRun = mains.contains { $0.attempt > 0 || $0.exit != nil || $0.previousExit != nil }
        return hasRun ? "Running" : "Pending"
    }
}
