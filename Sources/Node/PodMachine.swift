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

/// How one attempt of a container ended.
package struct ContainerExit: Sendable, Hashable {
    package var code: Int
    package var signal: Int
    package var started: Instant
    package var finished: Instant
    /// The last line it wrote, cut short.
    package var lastLine: String
    /// Set where the container's code is not the cause: the node was shut down, or its shim was lost.
    package var reason: String?
    /// Why the node ended it, where the node did.
    package var cause: String?

    package init(
        code: Int, signal: Int, started: Instant, finished: Instant, lastLine: String, reason: String? = nil,
        cause: String? = nil
    ) {
        self.cause = cause
        self.code = code
        self.signal = signal
        self.started = started
        self.finished = finished
        self.lastLine = lastLine
        self.reason = reason
    }

    /// The whole machine or the node was stopped: not the container's doing, and no reason to wait.
    package static let shutdownReason = "NodeShutdown"
    package static let lostReason = "ShimLost"
}

/// The life of one pod, decided. The runner feeds it what happened and carries out the actions it answers; `status`
/// says what the pod's document should hold. Pure: no clock, no I/O.
///
/// Invariant: at most one attempt of the container runs, and the next begins only after the exit of the one before is
/// known. Every attempt has a number of its own, which is its restart count and the name of its folder.
package struct PodMachine: Sendable {
    /// What an agent finds of a pod that it did not start itself.
    package enum Found: Sendable, Hashable {
        case nothing
        case running(attempt: Int, started: Instant)
        case ended(attempt: Int, exit: ContainerExit)
        /// The document says that the pod is over, and nothing of it is left here.
        case over

        var attempt: Int? {
            switch self {
            case .running(let attempt, _), .ended(let attempt, _): attempt
            case .nothing, .over: nil
            }
        }
    }

    package enum Event: Sendable {
        /// `previous` is how the attempt before the found one ended, `crashes` how often in a row the container had
        /// crashed when the found attempt began.
        case begin(Found, previous: ContainerExit?, crashes: Int = 0)
        case prepared(address: String)
        case preparationFailed(reason: String, message: String)
        case started(at: Instant)
        case startFailed(message: String)
        case exited(ContainerExit)
        case probed(ProbeSpecification.Kind, isSuccess: Bool, message: String)
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
        case start(attempt: Int)
        /// Writes down why the attempt is about to be ended, for its status.
        case explain(String)
        case terminate
        case kill
        case probe(ProbeSpecification.Kind)
        /// Everything of the pod, once no process is left.
        case clean
        case deleteDocument
        case event(type: String, reason: String, message: String)
    }

    enum Stage: Sendable, Equatable {
        case preparing, preparationWaits, starting, running, restartWaits, ended, cleaning, gone
    }

    package let specification: PodSpecification
    var stage = Stage.preparing
    var attempt = 0
    var address = ""
    var exit: ContainerExit?
    var previousExit: ContainerExit?
    var started: Instant?
    var startedMonotonic: Duration = .zero
    var begun: Instant?
    var trouble: (reason: String, message: String)?
    var conditions: [PodCondition]
    var isDocumentGone = false
    /// Whether `status` has anything to say that the document does not.
    private(set) var isReported = true

    private var isStartWanted = true
    /// Crashes in a row, for the back-off. What the node itself ended does not count, and a long run forgives them.
    package private(set) var crashes = 0
    /// What a probe last said when it failed for good; `nil` while all is well.
    private(set) var probeTrouble: String?
    private var preparationFailures = 0
    private var retryAt: Duration?
    private var stopAt: Duration?
    private var killAt: Duration?
    private var isTerminating = false
    private var isKilled = false
    private(set) var isDeleting = false
    private let drain: Duration
    var probes: [ProbeSpecification.Kind: ProbeMachine] = [:]
    private let wasReady: Bool
    private let wasStarted: Bool

    /// `observed` is the status that the document holds, possibly written by an earlier life of this agent; `drain` is
    /// how long a ready pod goes on serving after its deletion was asked for, while traffic is led away.
    package init(_ specification: PodSpecification, observed: JSON, drain: Duration) {
        self.specification = specification
        self.drain = drain
        let container = observed["containerStatuses"]?.arrayValue?.first
        wasReady = container?["ready"]?.boolValue ?? false
        wasStarted = container?["started"]?.boolValue ?? false
        attempt = Int(clamping: container?["restartCount"]?.integerValue ?? 0)
        begun = observed["startTime"]?.stringValue.flatMap(Instant.init(rfc3339:))
        address = observed["podIP"]?.stringValue ?? ""
        conditions = PodCondition.all(observed)
    }

    package var isGone: Bool { stage == .gone }
    package var currentAttempt: Int { attempt }

    package mutating func on(_ event: Event, now: Moment) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .begin(let found, let previous, let crashes):
            previousExit = previous
            self.crashes = crashes
            begin(found, now: now, &actions)
        case .prepared(let address): onPrepared(address, &actions)
        case .preparationFailed(let reason, let message): onPreparationFailed(reason, message, now: now, &actions)
        case .started(let instant): onStarted(instant, hasPassed: false, now: now, &actions)
        case .startFailed(let message):
            onExit(
                ContainerExit(
                    code: 128, signal: 0, started: now.wall, finished: now.wall, lastLine: message, reason: "StartError"
                ),
                now: now, &actions)
        case .exited(let exit): onExit(exit, now: now, &actions)
        case .probed(let kind, let isSuccess, let message):
            onProbe(kind, isSuccess: isSuccess, message: message, now: now, &actions)
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
        return actions
    }

    /// When the machine wants to be asked again at the latest.
    package var wakeAt: Duration? {
        var times = [retryAt, stopAt, killAt].compactMap { $0 }
        if stage == .running { times += probes.values.compactMap(\.nextTry) }
        return times.min()
    }
}

extension PodMachine {
    private mutating func begin(_ found: Found, now: Moment, _ actions: inout [Action]) {
        begun = begun ?? now.wall
        switch found {
        case .nothing:
            if let obstacle = specification.obstacle {
                stage = .preparationWaits
                trouble = ("CreateContainerConfigError", obstacle)
                return
            }
            actions.append(.prepare)
        case .running(let number, let instant):
            attempt = number
            isStartWanted = false
            onStarted(instant, hasPassed: true, now: now, &actions)
            actions.append(.adopt)
        case .ended(let number, let exit):
            attempt = number
            isStartWanted = false
            stage = .running
            onExit(exit, now: now, &actions)
        case .over:
            stage = .ended
            isReported = false
        }
    }

    private mutating func onPrepared(_ address: String, _ actions: inout [Action]) {
        self.address = address
        preparationFailures = 0
        guard stage == .preparing || stage == .preparationWaits, isStartWanted else { return }
        retryAt = nil
        trouble = nil
        if isDeleting { return finish(&actions) }
        stage = .starting
        actions.append(.start(attempt: attempt))
    }

    private mutating func onPreparationFailed(
        _ reason: String, _ message: String, now: Moment, _ actions: inout [Action]
    ) {
        guard stage == .preparing || stage == .preparationWaits else { return }
        if isDeleting { return finish(&actions) }
        stage = .preparationWaits
        if trouble?.message != message {
            actions.append(.event(type: "Warning", reason: reason, message: message))
        }
        trouble = (reason, message)
        preparationFailures += 1
        let doubled = Limits.firstPreparationRetry * (1 << min(preparationFailures - 1, 10))
        retryAt = now.monotonic + min(doubled, Limits.maximumPreparationRetry)
    }

    private mutating func onStarted(_ instant: Instant, hasPassed: Bool, now: Moment, _ actions: inout [Action]) {
        stage = .running
        started = instant
        startedMonotonic = now.monotonic
        exit = nil
        probes = [:]
        probeTrouble = nil
        if !hasPassed {
            actions.append(
                .event(type: "Normal", reason: "Started", message: "Started container \(specification.containerName)"))
        }
        let hasStarted = specification.probes[.startup] == nil || (hasPassed && wasStarted)
        if hasStarted {
            startProbes(hasPassed: hasPassed && wasReady, now: now)
        } else if let startup = specification.probes[.startup] {
            probes[.startup] = ProbeMachine(startup, kind: .startup, now: now.monotonic, hasPassed: false)
        }
        if isDeleting { stopAt = now.monotonic }
    }

    private mutating func startProbes(hasPassed: Bool, now: Moment) {
        for kind in [ProbeSpecification.Kind.readiness, .liveness] {
            guard let probe = specification.probes[kind] else { continue }
            let passed = kind == .liveness || hasPassed
            probes[kind] = ProbeMachine(probe, kind: kind, now: now.monotonic, hasPassed: passed)
        }
    }

    private mutating func onExit(_ ended: ContainerExit, now: Moment, _ actions: inout [Action]) {
        guard stage == .running || stage == .starting else { return }
        exit = ended
        probes = [:]
        stopAt = nil
        killAt = nil
        isTerminating = false
        isKilled = false
        if isDeleting { return finish(&actions) }
        let isRestarted =
            switch specification.restartPolicy {
            case .always: true
            case .onFailure: ended.code != 0
            case .never: false
            }
        guard isRestarted else {
            stage = .ended
            return
        }
        stage = .restartWaits
        retryAt = now.monotonic + backOff(after: ended)
        if let retryAt, retryAt > now.monotonic {
            let message =
                "Back-off restarting failed container \(specification.containerName) in pod \(specification.key.name)"
            actions.append(.event(type: "Warning", reason: "BackOff", message: message))
        }
    }

    private mutating func backOff(after ended: ContainerExit) -> Duration {
        if ended.finished - ended.started >= Limits.backOffReset { crashes = 0 }
        if ended.reason == ContainerExit.shutdownReason || ended.reason == ContainerExit.lostReason { return .zero }
        crashes += 1
        if crashes == 1 { return .zero }
        return min(Limits.firstBackOff * (1 << min(crashes - 2, 10)), Limits.maximumBackOff)
    }

    private mutating func onProbe(
        _ kind: ProbeSpecification.Kind, isSuccess: Bool, message: String, now: Moment, _ actions: inout [Action]
    ) {
        guard stage == .running, var probe = probes[kind] else { return }
        let verdict = probe.onAnswer(isSuccess: isSuccess, now: now.monotonic)
        probes[kind] = probe
        let name = "\(kind)"
        if verdict == .passed { probeTrouble = nil }
        if verdict == .failed { note("the \(name) probe failed: \(message)") }
        switch (kind, verdict) {
        case (.startup, .passed):
            probes[.startup] = nil
            startProbes(hasPassed: false, now: now)
        case (.startup, .failed), (.liveness, .failed):
            guard !isTerminating else { return }
            actions.append(.explain("the \(name) probe failed: \(message)"))
            actions.append(
                .event(
                    type: "Warning", reason: "Unhealthy",
                    message:
                        "Container \(specification.containerName) failed its \(name) probe and is restarted: \(message)"
                ))
            terminate(grace: specification.gracePeriod, now: now, &actions)
        case (.readiness, .failed) where !isDeleting && !isTerminating:
            actions.append(.event(type: "Warning", reason: "Unhealthy", message: "Readiness probe failed: \(message)"))
        default: break
        }
    }

    /// Keeps what a probe says. The same complaint with other numbers in it is not news: a status is written for each.
    private mutating func note(_ complaint: String) {
        func shape(_ text: String) -> String { text.filter { !$0.isNumber } }
        if probeTrouble.map(shape) != shape(complaint) { probeTrouble = complaint }
    }

    private mutating func onDeletion(_ grace: Duration, now: Moment, _ actions: inout [Action]) {
        let isFirst = !isDeleting
        isDeleting = true
        switch stage {
        case .running where isFirst:
            // A container that nobody sends traffic to has nothing to wait for.
            let isServing = !specification.ports.isEmpty && isReady && grace > .zero && !isDocumentGone
            let pause = isServing ? max(drain, specification.stopDelay) : .zero
            stopAt = now.monotonic + min(pause, grace)
            killAt = now.monotonic + grace
        case .running:
            killAt = min(killAt ?? now.monotonic + grace, now.monotonic + grace)
            stopAt = stopAt.map { min($0, now.monotonic + grace) }
        case .preparationWaits, .restartWaits, .ended:
            if isFirst { finish(&actions) }
        case .preparing, .starting, .cleaning, .gone: break
        }
    }

    private mutating func finish(_ actions: inout [Action]) {
        retryAt = nil
        stage = .cleaning
        actions.append(.clean)
    }

    private mutating func terminate(grace: Duration, now: Moment, _ actions: inout [Action]) {
        isTerminating = true
        actions.append(.terminate)
        killAt = killAt ?? now.monotonic + grace
    }

    private mutating func onTime(_ now: Moment, _ actions: inout [Action]) {
        if let retryAt, retryAt <= now.monotonic {
            self.retryAt = nil
            onRetry(&actions)
        }
        if let stopAt, stopAt <= now.monotonic, stage == .running {
            self.stopAt = nil
            if !isTerminating { terminate(grace: specification.gracePeriod, now: now, &actions) }
        }
        if let killAt, killAt <= now.monotonic, stage == .running {
            self.killAt = nil
            if !isKilled { actions.append(.kill) }
            isKilled = true
        }
        guard stage == .running else { return }
        for kind in ProbeSpecification.Kind.allCases where probes[kind]?.isDue(now: now.monotonic) == true {
            actions.append(.probe(kind))
        }
    }

    private mutating func onRetry(_ actions: inout [Action]) {
        switch stage {
        case .preparationWaits:
            stage = .preparing
            actions.append(.prepare)
        case .restartWaits:
            previousExit = exit
            attempt += 1
            isStartWanted = true
            stage = .preparing
            actions.append(.prepare)
        default: break
        }
    }

    var isStarted: Bool { stage == .running && probes[.startup] == nil }

    /// As Kubernetes: a running container without a readiness probe is ready.
    var isReady: Bool { isStarted && (probes[.readiness]?.hasPassed ?? true) }
}
