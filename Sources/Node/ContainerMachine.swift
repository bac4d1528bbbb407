internal import Documents
package import Seams

/// How one attempt of a container ended.
package struct ContainerExit: Sendable, Hashable {
    package var code: Int
    package var signal: Int
    package var started: Instant
    package var finished: Instant
    /// The last line it wrote, cut short.
    package var lastLine: String
    /// Set where the container's code is not the whole story: memory ran out, the node was shut down, its shim was lost.
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
    package static let outOfMemoryReason = "OOMKilled"
}

/// The life of one container of a pod, decided: attempts, restarts with back-off, probes, hooks, its end. The pod's
/// machine says when it begins and when it is to stop. Pure: no clock, no I/O.
///
/// Invariant: at most one attempt runs, and the next begins only after the exit of the one before is known. Every
/// attempt has a number of its own, which is its restart count and the name of its folder.
package struct ContainerMachine: Sendable {
    /// What an agent finds of a container that it did not start itself.
    package enum Found: Sendable, Hashable {
        case nothing
        case running(attempt: Int, started: Instant)
        case ended(attempt: Int, exit: ContainerExit)
    }

    /// What is found of one container, how the attempt before that ended, and how often in a row it had crashed then.
    package struct Finding: Sendable, Hashable {
        package var found: Found
        package var previous: ContainerExit?
        package var crashes: Int

        package init(_ found: Found, previous: ContainerExit? = nil, crashes: Int = 0) {
            self.found = found
            self.previous = previous
            self.crashes = crashes
        }

        var wasShutDown: Bool {
            if case .ended(_, let exit) = found { exit.reason == ContainerExit.shutdownReason } else { false }
        }
    }

    package enum Event: Sendable {
        case started(at: Instant, image: String = "")
        /// Nothing ran, and nothing was used up: something it needs is missing. Tried again.
        case notStarted(reason: String, message: String)
        case exited(ContainerExit)
        /// Of an attempt: an answer that comes late is not about the next one.
        case probed(ProbeSpecification.Kind, attempt: Int, isSuccess: Bool, message: String)
        /// A hook of an attempt ended; `failure` is what went wrong.
        case hooked(LifecycleHook.Kind, attempt: Int, failure: String?)
    }

    package enum Action: Sendable, Hashable {
        case start(attempt: Int)
        /// Writes down why the attempt is about to be ended, for its status.
        case explain(String)
        case hook(LifecycleHook.Kind)
        case terminate
        case kill
        case probe(ProbeSpecification.Kind)
        case event(type: String, reason: String, message: String)
    }

    enum Stage: Sendable, Equatable {
        /// Its turn has not come.
        case waiting
        case starting
        /// It could not be started and is tried again.
        case startWaits
        case running
        case restartWaits
        case ended
    }

    package let specification: ContainerSpecification
    var stage = Stage.waiting
    package private(set) var attempt = 0
    private(set) var exit: ContainerExit?
    private(set) var previousExit: ContainerExit?
    private(set) var started: Instant?
    /// The image that runs, by digest, where the node knows it.
    private(set) var imageID = ""
    private(set) var trouble: (reason: String, message: String)?
    /// Crashes in a row, for the back-off. What the node itself ended does not count, and a long run forgives them.
    package private(set) var crashes = 0
    /// What a probe last said when it failed for good; `nil` while all is well.
    private(set) var probeTrouble: String?
    private var startFailures = 0
    private var retryAt: Duration?
    private var stopAt: Duration?
    private var killAt: Duration?
    private var isTerminating = false
    private var isKilled = false
    /// Whether it runs to its end and never again.
    private(set) var isStopping = false
    /// How long it then has, where that was said before it ran.
    private var stopGrace: Duration?
    private var isHooking = false
    private var probes: [ProbeSpecification.Kind: ProbeMachine] = [:]
    private let wasReady: Bool
    private let wasStarted: Bool
    private let podGrace: Duration
    private let podName: String

    /// `observed` is the container's part of the status that the document holds, perhaps written by an earlier agent.
    init(_ specification: ContainerSpecification, observed: JSON, podName: String, grace: Duration) {
        self.specification = specification
        self.podName = podName
        podGrace = grace
        wasReady = observed["ready"]?.boolValue ?? false
        wasStarted = observed["started"]?.boolValue ?? false
        imageID = observed["imageID"]?.stringValue ?? ""
        attempt = Int(clamping: observed["restartCount"]?.integerValue ?? 0)
    }

    var isStarted: Bool { stage == .running && probes[.startup] == nil && !(isHooking && !isTerminating) }

    /// As Kubernetes: a running container without a readiness probe is ready.
    var isReady: Bool { isStarted && (probes[.readiness]?.hasPassed ?? true) }

    /// Whether nothing of it runs or will run without being begun.
    var isAtRest: Bool { stage == .waiting || stage == .ended }

    /// When the machine wants to be asked again at the latest; `mayStart` as in `onTime`.
    func wakeAt(mayStart: Bool) -> Duration? {
        var times = [mayStart ? retryAt : nil, stopAt, killAt].compactMap { $0 }
        if stage == .running { times += probes.values.compactMap(\.nextTry) }
        return times.min()
    }
}

extension ContainerMachine {
    /// Takes over what is there.
    mutating func take(_ finding: Finding, now: Moment, _ actions: inout [Action]) {
        previousExit = finding.previous
        crashes = finding.crashes
        switch finding.found {
        case .nothing: break
        case .running(let number, let instant):
            attempt = number
            onStarted(instant, hasPassed: true, now: now, &actions)
        case .ended(let number, let exit):
            attempt = number
            stage = .running
            onExit(exit, now: now, &actions)
        }
    }

    mutating func begin(_ actions: inout [Action]) {
        stage = .starting
        actions.append(.start(attempt: attempt))
    }

    /// Takes it back to before its first attempt, if it had ended.
    mutating func beginAnew() {
        guard stage == .ended || stage == .restartWaits else { return }
        previousExit = exit
        exit = nil
        retryAt = nil
        attempt += 1
        stage = .waiting
    }

    mutating func on(_ event: Event, now: Moment, _ actions: inout [Action]) {
        switch event {
        case .started(let instant, let image):
            imageID = image
            onStarted(instant, hasPassed: false, now: now, &actions)
        case .notStarted(let reason, let message): onNotStarted(reason, message, now: now, &actions)
        case .exited(let exit): onExit(exit, now: now, &actions)
        case .probed(let kind, let attempt, let isSuccess, let message) where attempt == self.attempt:
            onProbe(kind, isSuccess: isSuccess, message: message, now: now, &actions)
        case .hooked(let kind, let attempt, let failure) where attempt == self.attempt:
            onHook(kind, failure, now: now, &actions)
        case .probed, .hooked: break
        }
    }

    /// Stops it for good: after `pause` it is told, after `grace` it is killed. A shorter time replaces a longer one.
    mutating func stop(pause: Duration, grace: Duration, now: Moment, _ actions: inout [Action]) {
        let isFirst = !isStopping
        isStopping = true
        stopGrace = min(stopGrace ?? grace, grace)
        retryAt = nil
        switch stage {
        case .running:
            killAt = min(killAt ?? now.monotonic + grace, now.monotonic + grace)
            let told = now.monotonic + min(pause, grace)
            stopAt = isFirst ? told : stopAt.map { min($0, told) }
        case .startWaits: stage = exit == nil ? .waiting : .ended
        case .restartWaits: stage = .ended
        case .waiting, .starting, .ended: break
        }
        onTime(now, mayStart: false, &actions)
    }

    private mutating func onStarted(_ instant: Instant, hasPassed: Bool, now: Moment, _ actions: inout [Action]) {
        stage = .running
        started = instant
        exit = nil
        trouble = nil
        startFailures = 0
        probes = [:]
        probeTrouble = nil
        if !hasPassed {
            actions.append(
                .event(type: "Normal", reason: "Started", message: "Started container \(specification.name)"))
        }
        if isStopping {
            killAt = now.monotonic + (stopGrace ?? podGrace)
            stopAt = now.monotonic
            return
        }
        if specification.hooks[.postStart] != nil, !hasPassed {
            isHooking = true
            actions.append(.hook(.postStart))
        } else {
            startFirstProbes(hasPassed: hasPassed, now: now)
        }
    }

    private mutating func startFirstProbes(hasPassed: Bool, now: Moment) {
        if let startup = specification.probes[.startup], !(hasPassed && wasStarted) {
            probes[.startup] = ProbeMachine(startup, kind: .startup, now: now.monotonic, hasPassed: false)
        } else {
            startProbes(hasPassed: hasPassed && wasReady, now: now)
        }
    }

    private mutating func startProbes(hasPassed: Bool, now: Moment) {
        for kind in [ProbeSpecification.Kind.readiness, .liveness] {
            guard let probe = specification.probes[kind] else { continue }
            let passed = kind == .liveness || hasPassed
            probes[kind] = ProbeMachine(probe, kind: kind, now: now.monotonic, hasPassed: passed)
        }
    }

    private mutating func onNotStarted(_ reason: String, _ message: String, now: Moment, _ actions: inout [Action]) {
        guard stage == .starting else { return }
        if isStopping {
            stage = exit == nil ? .waiting : .ended
            return
        }
        stage = .startWaits
        if trouble?.message != message { actions.append(.event(type: "Warning", reason: "Failed", message: message)) }
        trouble = (reason, message)
        startFailures += 1
        let doubled = Limits.firstPreparationRetry * (1 << min(startFailures - 1, 10))
        retryAt = now.monotonic + min(doubled, Limits.maximumPreparationRetry)
    }

    private mutating func onExit(_ ended: ContainerExit, now: Moment, _ actions: inout [Action]) {
        guard stage == .running || stage == .starting else { return }
        exit = ended
        probes = [:]
        stopAt = nil
        killAt = nil
        isTerminating = false
        isKilled = false
        isHooking = false
        let isRestarted =
            switch specification.restartPolicy {
            case .always: true
            case .onFailure: ended.code != 0
            case .never: false
            }
        guard isRestarted, !isStopping else {
            stage = .ended
            return
        }
        stage = .restartWaits
        retryAt = now.monotonic + backOff(after: ended)
        if let retryAt, retryAt > now.monotonic {
            let message = "Back-off restarting failed container \(specification.name) in pod \(podName)"
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
            actions.append(
                .event(
                    type: "Warning", reason: "Unhealthy",
                    message: "Container \(specification.name) failed its \(name) probe and is restarted: \(message)"))
            end("the \(name) probe failed: \(message)", now: now, &actions)
        case (.readiness, .failed) where !isStopping && !isTerminating:
            actions.append(.event(type: "Warning", reason: "Unhealthy", message: "Readiness probe failed: \(message)"))
        default: break
        }
    }

    private mutating func onHook(
        _ kind: LifecycleHook.Kind, _ failure: String?, now: Moment, _ actions: inout [Action]
    ) {
        guard stage == .running, isHooking else { return }
        switch kind {
        case .postStart where isTerminating || isStopping: break
        case .postStart:
            isHooking = false
            guard let failure else { return startFirstProbes(hasPassed: false, now: now) }
            actions.append(
                .event(type: "Warning", reason: "FailedPostStartHook", message: "PostStartHook failed: \(failure)"))
            end("its postStart hook failed: \(failure)", now: now, &actions)
        case .preStop:
            isHooking = false
            if let failure {
                actions.append(
                    .event(type: "Warning", reason: "FailedPreStopHook", message: "PreStopHook failed: \(failure)"))
            }
            if !isKilled { actions.append(.terminate) }
        }
    }

    /// Keeps what a probe says. The same complaint with other numbers in it is not news: a status is written for each.
    private mutating func note(_ complaint: String) {
        func shape(_ text: String) -> String { text.filter { !$0.isNumber } }
        if probeTrouble.map(shape) != shape(complaint) { probeTrouble = complaint }
    }

    /// Ends the attempt for a reason of the node's own; what follows is decided at its exit.
    private mutating func end(_ cause: String, now: Moment, _ actions: inout [Action]) {
        actions.append(.explain(cause))
        terminate(grace: podGrace, now: now, &actions)
    }

    private mutating func terminate(grace: Duration, now: Moment, _ actions: inout [Action]) {
        isTerminating = true
        killAt = killAt ?? now.monotonic + grace
        guard specification.hooks[.preStop] != nil, killAt ?? .zero > now.monotonic else {
            actions.append(.terminate)
            return
        }
        isHooking = true
        actions.append(.hook(.preStop))
    }

    /// `mayStart`: the pod has its network and volumes.
    mutating func onTime(_ now: Moment, mayStart: Bool, _ actions: inout [Action]) {
        if mayStart, let retryAt, retryAt <= now.monotonic {
            self.retryAt = nil
            if stage == .restartWaits {
                previousExit = exit
                attempt += 1
            }
            stage = .starting
            actions.append(.start(attempt: attempt))
        }
        guard stage == .running else { return }
        if let stopAt, stopAt <= now.monotonic {
            self.stopAt = nil
            if !isTerminating { terminate(grace: podGrace, now: now, &actions) }
        }
        if let killAt, killAt <= now.monotonic {
            self.killAt = nil
            if !isKilled { actions.append(.kill) }
            isKilled = true
        }
        for kind in ProbeSpecification.Kind.allCases where probes[kind]?.isDue(now: now.monotonic) == true {
            actions.append(.probe(kind))
        }
    }
}
