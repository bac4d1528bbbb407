internal import Client
internal import Documents
internal import Logging
internal import Seams
internal import Synchronization

/// Carries out what a `PodMachine` decides for one pod: the only place that touches its processes, files and network.
/// One task runs it from the pod's appearance to its end; others only put messages into its inbox.
final class PodRunner: Sendable {
    enum Message: Sendable {
        case event(PodMachine.Event)
        /// A status was written, or could not be.
        case reported(JSON, isStored: Bool)
        /// A document that a volume shows has changed.
        case changed
        /// The volumes were written anew.
        case rewritten
    }

    let specification: PodSpecification
    /// Whose changes it wants to hear of.
    let contents: Set<ObjectKey>
    let context: NodeContext
    let directory: PodDirectory
    let logger: Logger
    private let document: Document
    private let inbox: AsyncStream<Message>
    let mail: AsyncStream<Message>.Continuation
    let address = Mutex("")
    /// Whether the pod is to go: what is on its way up need not arrive.
    let isEnding = Mutex(false)
    let ledger = Mutex(EventLedger())

    init(_ pod: Document, context: NodeContext) {
        document = pod
        specification = PodSpecification(pod)
        contents = specification.volumeDocuments
        self.context = context
        directory = PodDirectory(podsDirectory: context.configuration.podsDirectory, uid: pod.uid)
        var logger = context.logger
        logger[metadataKey: "pod"] = "\(pod.namespace)/\(pod.name)"
        self.logger = logger
        // Bounded by what can happen to one pod: its probes wait for each other, its timers are one at a time.
        (inbox, mail) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
        address.withLock { $0 = pod.status["podIP"]?.stringValue ?? "" }
    }

    func send(_ event: PodMachine.Event) {
        switch event {
        case .deletionRequested, .documentGone: isEnding.withLock { $0 = true }
        default: break
        }
        mail.yield(.event(event))
    }

    /// Tells it that a ConfigMap or Secret of its volumes has changed.
    func onChange() { mail.yield(.changed) }

    /// Runs until the pod is gone, or until the task is cancelled: then its processes live on for the next agent.
    func run() async {
        var machine = PodMachine(specification, observed: document.status, drain: context.configuration.drain)
        let found = await inspect()
        await withDiscardingTaskGroup { group in
            // Before anybody can tell of an end.
            mail.yield(.event(.begin(found)))
            if case .containers(let findings) = found {
                for (name, finding) in findings {
                    guard case .running(let attempt, _) = finding.found else { continue }
                    logger.info("Container adopted", metadata: ["container": "\(name)", "attempt": "\(attempt)"])
                    group.addTask { await self.watch(name, attempt) }
                }
            }
            var reporting = Reporting(stored: document.status)
            var rewriting = Rewriting()
            // What an agent missed while it was not there is learned from the watch's first events.
            var isStale = false
            var alarm: Duration?
            for await message in inbox {
                let now = context.moment()
                switch message {
                case .event(let event):
                    for action in machine.on(event, now: now) { await perform(action, machine, in: &group) }
                case .reported(let status, let isStored):
                    reporting.onAnswer(status, isStored: isStored)
                case .changed: isStale = true
                case .rewritten:
                    if rewriting.onEnd() { group.addTask { await self.rewriteVolumes() } }
                }
                if machine.isGone { break }
                if isStale, machine.hasVolumes {
                    isStale = false
                    if rewriting.onChange() { group.addTask { await self.rewriteVolumes() } }
                }
                if machine.isReported, !machine.isDocumentGone {
                    let status = machine.status(hostAddress: context.podNetwork.network.hostAddress, now: now)
                    if reporting.isWanted(status) { group.addTask { await self.report(status) } }
                }
                if let wake = machine.wakeAt, alarm.map({ wake < $0 || $0 <= now.monotonic }) ?? true {
                    alarm = wake
                    group.addTask { await self.ring(at: wake) }
                }
            }
            group.cancelAll()
        }
        // Volumes that were being written while the pod was cleaned.
        if machine.isGone { removeFiles() }
    }

    private func ring(at time: Duration) async {
        while case let pause = time - context.clock.monotonic(), pause > .zero, !Task.isCancelled {
            try? await context.clock.sleep(for: pause)  // Cancelled: nobody listens any more.
        }
        send(.tick)
    }

    private func removeFiles() {
        if let memory = context.memoryDirectory { StateFiles.remove("\(memory)/\(specification.uid)") }
        StateFiles.remove(directory.path)
    }

    /// What of this pod is there already: of each container the newest attempt that a shim ever held.
    private func inspect() async -> PodMachine.Found {
        var findings: [String: ContainerMachine.Finding] = [:]
        for container in specification.containers { findings[container.name] = await inspect(container.name) }
        let phase = document.status["phase"]?.stringValue
        let runs = findings.values.contains { if case .running = $0.found { true } else { false } }
        return !runs && (phase == "Succeeded" || phase == "Failed") ? .over : .containers(findings)
    }

    private func inspect(_ container: String) async -> ContainerMachine.Finding? {
        for number in directory.attempts(container).reversed() {
            var state = directory.state(container, number)
            for _ in 0..<400 where state == .beginning {
                try? await context.clock.sleep(for: .milliseconds(5))  // The shim is about to say who it is.
                state = directory.state(container, number)
            }
            let previous = number > 0 ? exit(container, number - 1) : nil
            let crashes = directory.crashes(container, before: number)
            switch state {
            case .running(let shim):
                return .init(.running(attempt: number, started: shim.started), previous: previous, crashes: crashes)
            case .ended(let exit):
                if exit.reason == ContainerExit.lostReason { context.killMarked(specification.uid, container) }
                return .init(.ended(attempt: number, exit: exit), previous: previous, crashes: crashes)
            case .unused, .beginning: continue
            }
        }
        return nil
    }

    func exit(_ container: String, _ number: Int) -> ContainerExit? {
        if case .ended(let exit) = directory.state(container, number) { exit } else { nil }
    }

    private func perform(
        _ action: PodMachine.Action, _ machine: PodMachine, in group: inout DiscardingTaskGroup
    ) async {
        switch action {
        case .prepare: group.addTask { await self.prepare() }
        case .adopt: group.addTask { await self.adopt() }
        case .container(let name, let action):
            guard let container = machine.container(name) else { return }
            perform(action, container, in: &group)
        case .clean:
            await clean()
            send(.cleaned)
        case .deleteDocument:
            // Somebody may keep the document for what it says of the end.
            var last = machine
            if last.isReported {
                await report(
                    last.status(hostAddress: context.podNetwork.network.hostAddress, now: context.moment()))
            }
            await deleteDocument()
        case .event(let type, let reason, let message):
            group.addTask { await self.record(type: type, reason: reason, message: message) }
        }
    }

    private func perform(
        _ action: ContainerMachine.Action, _ machine: ContainerMachine, in group: inout DiscardingTaskGroup
    ) {
        let (container, attempt) = (machine.specification, machine.attempt)
        switch action {
        case .start(let attempt):
            directory.recordCrashes(container.name, before: attempt, machine.crashes)
            group.addTask { await self.start(container, attempt) }
        case .explain(let cause): directory.explain(container.name, attempt, cause)
        case .hook(let kind): group.addTask { await self.runHook(kind, container, attempt) }
        case .terminate: signal(container.name, attempt, NodeContext.terminate)
        case .kill: signal(container.name, attempt, NodeContext.kill)
        case .probe(let kind): group.addTask { await self.probe(kind, container, attempt) }
        case .event(let type, let reason, let message):
            group.addTask {
                await self.record(type: type, reason: reason, message: message, container: container)
            }
        }
    }

    func send(_ event: ContainerMachine.Event, of container: String) { send(.container(container, event)) }

    /// Runs only when no shim holds an attempt any more.
    private func clean() async {
        if case .none = context.sandbox { context.killMarked(specification.uid) }
        await context.groups.remove(pod: specification.uid, clock: context.clock)
        await context.podNetwork.remove(uid: specification.uid)
        removeFiles()
        logger.info("Pod removed")
    }

    /// Volumes are written by one task at a time; what changes meanwhile is written after it.
    private struct Rewriting {
        private var isRunning = false
        private var isStale = false

        mutating func onChange() -> Bool {
            if isRunning { isStale = true }
            defer { isRunning = true }
            return !isRunning
        }

        mutating func onEnd() -> Bool {
            isRunning = isStale
            isStale = false
            return isRunning
        }
    }

    /// Decides when a status is written: one at a time, and only what differs from what the document holds.
    private struct Reporting {
        private var stored: JSON
        private var isFlying = false

        init(stored: JSON) { self.stored = stored }

        mutating func isWanted(_ status: JSON) -> Bool {
            if isFlying || stored == status { return false }
            isFlying = true
            return true
        }

        mutating func onAnswer(_ status: JSON, isStored: Bool) {
            isFlying = false
            if isStored { stored = status }
        }
    }
}
