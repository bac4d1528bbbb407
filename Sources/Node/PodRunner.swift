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
    }

    let specification: PodSpecification
    let context: NodeContext
    let directory: PodDirectory
    let logger: Logger
    private let document: Document
    private let inbox: AsyncStream<Message>
    private let mail: AsyncStream<Message>.Continuation
    /// What `.prepare` found for `.start`. Holds secrets, in memory only, until the container runs.
    let materials = Mutex<PodMaterials?>(nil)
    let address = Mutex("")
    private let ledger = Mutex(EventLedger())

    init(_ pod: Document, context: NodeContext) {
        document = pod
        specification = PodSpecification(pod)
        self.context = context
        directory = PodDirectory(podsDirectory: context.configuration.podsDirectory, uid: pod.uid)
        var logger = context.logger
        logger[metadataKey: "pod"] = "\(pod.namespace)/\(pod.name)"
        self.logger = logger
        // Bounded by what can happen to one pod: its probes wait for each other, its timers are one at a time.
        (inbox, mail) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
        address.withLock { $0 = pod.status["podIP"]?.stringValue ?? "" }
    }

    func send(_ event: PodMachine.Event) { mail.yield(.event(event)) }

    /// Runs until the pod is gone, or until the task is cancelled: then its processes live on for the next agent.
    func run() async {
        var machine = PodMachine(specification, observed: document.status, drain: context.configuration.drain)
        let (found, previous) = await inspect()
        let crashes = found.attempt.map { directory.crashes(specification.containerName, before: $0) } ?? 0
        if case .running(let attempt, _) = found { logger.info("Pod adopted", metadata: ["attempt": "\(attempt)"]) }
        await withDiscardingTaskGroup { group in
            if case .running(let attempt, _) = found { group.addTask { await self.watch(attempt) } }
            mail.yield(.event(.begin(found, previous: previous, crashes: crashes)))
            var reporting = Reporting(stored: document.status)
            var alarm: Duration?
            for await message in inbox {
                let now = context.moment()
                switch message {
                case .event(let event):
                    for action in machine.on(event, now: now) {
                        if case .start(let attempt) = action {
                            directory.recordCrashes(specification.containerName, before: attempt, machine.crashes)
                        }
                        await perform(action, machine.currentAttempt, in: &group)
                    }
                case .reported(let status, let isStored):
                    reporting.onAnswer(status, isStored: isStored)
                }
                if machine.isGone { break }
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
    }

    private func ring(at time: Duration) async {
        let pause = time - context.clock.monotonic()
        if pause > .zero { try? await context.clock.sleep(for: pause) }  // Cancelled: nobody listens any more.
        send(.tick)
    }

    /// What of this pod is there already: the newest attempt that a shim ever held.
    private func inspect() async -> (PodMachine.Found, previous: ContainerExit?) {
        let container = specification.containerName
        for number in directory.attempts(container).reversed() {
            var state = directory.state(container, number)
            for _ in 0..<400 where state == .beginning {
                try? await context.clock.sleep(for: .milliseconds(5))  // The shim is about to say who it is.
                state = directory.state(container, number)
            }
            let previous = number > 0 ? exit(container, number - 1) : nil
            switch state {
            case .running(let shim): return (.running(attempt: number, started: shim.started), previous)
            case .ended(let exit):
                if exit.reason == ContainerExit.lostReason { context.killMarked(specification.uid) }
                return (.ended(attempt: number, exit: exit), previous)
            case .unused, .beginning: continue
            }
        }
        let phase = document.status["phase"]?.stringValue
        return (phase == "Succeeded" || phase == "Failed" ? .over : .nothing, nil)
    }

    private func exit(_ container: String, _ number: Int) -> ContainerExit? {
        if case .ended(let exit) = directory.state(container, number) { exit } else { nil }
    }

    private func perform(_ action: PodMachine.Action, _ attempt: Int, in group: inout DiscardingTaskGroup) async {
        switch action {
        case .prepare: group.addTask { await self.prepare() }
        case .adopt: group.addTask { await self.adopt() }
        case .start(let attempt): group.addTask { await self.start(attempt) }
        case .explain(let cause): directory.explain(specification.containerName, attempt, cause)
        case .terminate: signal(attempt, .terminate)
        case .kill: signal(attempt, .kill)
        case .probe(let kind): group.addTask { await self.probe(kind, attempt) }
        case .clean:
            await clean()
            send(.cleaned)
        case .deleteDocument: await deleteDocument()
        case .event(let type, let reason, let message):
            group.addTask { await self.record(type: type, reason: reason, message: message) }
        }
    }

    private func start(_ attempt: Int) async {
        guard
            let materials = materials.withLock({ value in
                defer { value = nil }
                return value
            })
        else { return send(.startFailed(message: "the container's materials were not prepared")) }
        do {
            let request = try request(attempt, materials)
            let launcher = context.launcher(specification.uid)
            // Not cancelled with us: a stop that comes now would pass by a shim that has not taken its folder yet.
            let launching = Task { try await launcher.launch(request) }
            switch try await launching.value {
            case .started, .refused: await watch(attempt, isNew: true)
            case .failed(let message): send(.startFailed(message: message))
            }
        } catch {
            logger.warning("Container did not start", metadata: ["error": "\(error)"])
            send(.startFailed(message: "\(error)"))
        }
    }

    /// Follows a held attempt to its end.
    func watch(_ attempt: Int, isNew: Bool = false) async {
        let container = specification.containerName
        guard case .running(let shim) = directory.state(container, attempt) else { return sayEnd(attempt) }
        if isNew { send(.started(at: shim.started)) }
        await context.spawner.waitForExit(shim.process)
        if Task.isCancelled { return }
        sayEnd(attempt)
    }

    private func sayEnd(_ attempt: Int) {
        let now = context.clock.now()
        let lost = ContainerExit(
            code: 137, signal: 9, started: now, finished: now, lastLine: "", reason: ContainerExit.lostReason)
        var exit = exit(specification.containerName, attempt) ?? lost
        if exit.reason == ContainerExit.lostReason {
            exit.finished = now
            context.killMarked(specification.uid)
        }
        send(.exited(exit))
    }

    private enum Stop { case terminate, kill }

    private func signal(_ attempt: Int, _ stop: Stop) {
        guard case .running(let shim) = directory.state(specification.containerName, attempt) else { return }
        context.spawner.signal(shim.process, stop == .terminate ? NodeContext.terminate : NodeContext.kill)
    }

    /// Runs only when no shim holds an attempt any more.
    private func clean() async {
        if case .none = context.sandbox { context.killMarked(specification.uid) }
        await context.podNetwork.remove(uid: specification.uid)
        if let memory = context.memoryDirectory { StateFiles.remove("\(memory)/\(specification.uid)") }
        StateFiles.remove(directory.path)
        logger.info("Pod removed")
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

    private func report(_ status: JSON) async {
        let metadata: JSONObject = [
            "name": .string(specification.key.name), "namespace": .string(specification.key.namespace),
        ]
        let document = Document(["apiVersion": "v1", "kind": "Pod", "metadata": .object(metadata), "status": status])
        do {
            _ = try await context.client.apply(document, subresource: .status, options: context.write)
            mail.yield(.reported(status, isStored: true))
        } catch {
            if error.reason == .notFound {
                mail.yield(.reported(status, isStored: true))
                return
            }
            logger.warning("Pod status not written", metadata: ["error": "\(error)"])
            try? await context.clock.sleep(for: Limits.statusRetry)  // Cancelled: the message reaches nobody.
            mail.yield(.reported(status, isStored: false))
        }
    }

    private func deleteDocument() async {
        var options = DeleteOptions(uid: specification.uid)
        options.gracePeriodSeconds = 0
        for _ in 0..<Limits.deletionTries {
            do {
                return try await context.client.delete(specification.key, options: options)
            } catch {
                // Gone, or another pod bears the name now.
                if error.reason == .notFound || error.reason == .conflict { return }
                logger.warning("Pod document not deleted", metadata: ["error": "\(error)"])
                try? await context.clock.sleep(for: Limits.statusRetry)
                if Task.isCancelled { return }
            }
        }
    }

    /// Events are for people: one that cannot be written is let go. What happened before is counted in the same document.
    private func record(type: String, reason: String, message: String) async {
        let event = EventLedger.Event(type: type, reason: reason, message: message)
        let moment = context.moment()
        guard let occurrences = ledger.withLock({ $0.onEvent(event, now: moment.monotonic) }) else { return }
        let digits = String(NodeNetwork.hash("\(specification.uid) \(type) \(reason) \(message)"), radix: 16)
        let key = ObjectKey(
            GroupResource(group: "", resource: "events"), namespace: specification.key.namespace,
            name: "\(specification.key.name).\(digits)")
        let now = moment.wall.rfc3339
        let options = WriteOptions(fieldManager: NodeContext.fieldManager)
        do {
            let known: Document?
            do { known = try await context.client.get(key) } catch  where error.reason == .notFound { known = nil }
            if let known {
                let count = (known["count"]?.integerValue ?? 1) + Int64(occurrences)
                let change: JSON = ["count": .integer(count), "lastTimestamp": .string(now)]
                _ = try await context.client.patch(key, .merge(change), subresource: nil, options: options)
            } else {
                let document = document(of: event, key, count: occurrences, now: now)
                _ = try await context.client.create(document, options: options)
            }
        } catch {
            logger.debug("Event not written", metadata: ["reason": "\(reason)", "error": "\(error)"])
        }
    }

    private func document(of event: EventLedger.Event, _ key: ObjectKey, count: Int, now: String) -> Document {
        let node = context.configuration.nodeName
        let reference: JSON = [
            "apiVersion": "v1", "kind": "Pod", "name": .string(specification.key.name),
            "namespace": .string(specification.key.namespace), "uid": .string(specification.uid),
            "fieldPath": .string("spec.containers{\(specification.containerName)}"),
        ]
        return Document([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string(key.name), "namespace": .string(key.namespace)],
            "involvedObject": reference, "type": .string(event.type), "reason": .string(event.reason),
            "message": .string(event.message),
            "source": ["component": .string(NodeContext.fieldManager), "host": .string(node)],
            "firstTimestamp": .string(now), "lastTimestamp": .string(now), "count": .integer(Int64(count)),
            "reportingComponent": .string(NodeContext.fieldManager), "reportingInstance": .string(node),
        ])
    }
}
