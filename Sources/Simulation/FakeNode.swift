package import Client
package import Documents
package import Seams

/// A node without processes: takes pods, and says of them what the test wants to be true. Pods start in a second, pods
/// being deleted are gone a second later. Driven step by step, by one owner.
package struct FakeNode {
    /// What becomes of a pod.
    package enum Fate: Sendable { case ready, neverReady, fails, succeeds }

    private let client: any Client
    package private(set) var stream: (any WatchStream)?
    private var pods: [ObjectKey: Document] = [:]
    /// When the node last did something about a pod, and so when it may go on.
    private var due: [ObjectKey: Instant] = [:]
    /// Decides about each pod; the default is ready, unless the first word of its command says otherwise.
    package var fate: @Sendable (Document) -> Fate = { pod in
        switch pod.spec["containers"]?.arrayValue?.first?["command"]?.arrayValue?.first?.stringValue {
        case "never-ready": .neverReady
        case "fails": .fails
        case "succeeds": .succeeds
        default: .ready
        }
    }
    package var startTime: Duration = .seconds(1)
    package static let name = "node-1"

    package init(client: any Client) { self.client = client }

    /// Does at most one thing. False when there is nothing to do now.
    package mutating func step(now: Instant) async throws(APIError) -> Bool {
        let resource = GroupResource(group: "", resource: "pods")
        if stream == nil { stream = try await client.watch([resource], options: WatchOptions(visibility: .durable)) }
        for event in try stream?.poll() ?? [] {
            let key = ObjectKey(resource, namespace: event.document.namespace, name: event.document.name)
            if event.kind == .deleted {
                pods[key] = nil
                due[key] = nil
            } else {
                pods[key] = event.document
            }
        }
        for key in pods.keys.sorted() {
            guard let pod = pods[key] else { continue }
            if try await act(key, pod, now: now) { return true }
        }
        return false
    }

    /// When the next pod is due; `nil` where none is.
    package var nextTimer: Instant? { due.values.min() }

    private mutating func act(_ key: ObjectKey, _ pod: Document, now: Instant) async throws(APIError) -> Bool {
        if pod.isBeingDeleted { return try await finish(key, pod, now: now) }
        guard let node = pod.spec["nodeName"]?.stringValue, !node.isEmpty else {
            pods[key] = try await client.patch(
                key, .merge(["spec": ["nodeName": .string(Self.name)]]), subresource: nil,
                options: WriteOptions(fieldManager: "espalier-node"))
            due[key] = now + startTime
            return true
        }
        let known = pod.status["phase"]?.stringValue ?? "Pending"
        if known != "Pending" {
            if !pod.condition(isTrue: "Ready"), fate(pod) == .ready {
                return try await report(key, pod, "Running", now: now)
            }
            if pod.condition(isTrue: "Ready"), fate(pod) == .neverReady {
                return try await report(key, pod, "Running", now: now)
            }
            due[key] = nil
            return false
        }
        if let due = due[key], now < due { return false }
        let phase = fate(pod) == .fails ? "Failed" : fate(pod) == .succeeds ? "Succeeded" : "Running"
        return try await report(key, pod, phase, now: now)
    }

    private mutating func report(_ key: ObjectKey, _ pod: Document, _ phase: String, now: Instant)
        async throws(APIError) -> Bool
    {
        let isReady = fate(pod) == .ready && phase == "Running"
        let message = fate(pod) == .neverReady ? "the readiness probe failed: it answers 503" : ""
        let address = "10.97.\(pods.count % 250).\(abs(pod.uid.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) % 250 }) + 1)"
        let status: JSON = [
            "phase": .string(phase), "podIP": .string(address), "hostIP": "127.0.0.1",
            "startTime": .string(now.rfc3339),
            "conditions": [
                [
                    "type": "Ready", "status": isReady ? "True" : "False", "lastTransitionTime": .string(now.rfc3339),
                    "reason": isReady ? "Probed" : "NotReady", "message": .string(message),
                ]
            ],
        ]
        pods[key] = try await client.patch(
            key, .merge(["status": status]), subresource: .status, options: WriteOptions(fieldManager: "espalier-node"))
        due[key] = nil
        return true
    }

    private mutating func finish(_ key: ObjectKey, _ pod: Document, now: Instant) async throws(APIError) -> Bool {
        guard let stopped = due[key] else {
            due[key] = now + startTime
            return false
        }
        if now < stopped { return false }
        var options = DeleteOptions(uid: pod.uid)
        options.gracePeriodSeconds = 0
        do { try await client.delete(key, options: options) } catch  where error.reason == .notFound {}
        pods[key] = nil
        due[key] = nil
        return true
    }
}

extension Document {
    fileprivate func condition(isTrue type: String) -> Bool {
        (status["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == type && $0["status"]?.stringValue == "True"
        }
    }
}
