package import Documents
package import Seams
internal import Synchronization

/// Keeps the rules in the kernel in step with the documents and the pods' places. What is known changes at once, the
/// kernel at the next `settle`; what comes while rules are being applied goes with the next application. Until the first
/// one nothing is forwarded. Thread-safe; the lock guards the state, and is not held while `nft` runs.
package final class Walls: Sendable {
    /// What a watch said of one document.
    package struct Change: Sendable {
        package var resource: GroupResource
        package var document: Document
        package var isDeleted: Bool

        package init(_ resource: GroupResource, _ document: Document, isDeleted: Bool = false) {
            self.resource = resource
            self.document = document
            self.isDeleted = isDeleted
        }
    }

    package static let pods = GroupResource(group: "", resource: "pods")
    package static let services = GroupResource(group: "", resource: "services")
    package static let namespaces = GroupResource(group: "", resource: "namespaces")
    package static let policies = GroupResource(group: "networking.k8s.io", resource: "networkpolicies")
    package static let watched = [namespaces, policies, services, pods]

    private struct State {
        var network: ClusterNetwork
        var places: [String: ClusterNetwork.Place] = [:]
        /// Counts the changes of `network`.
        var version = 1
        var appliedVersion = 0
        /// What the kernel has; `nil` where that is not known.
        var applied: Ruleset?
        var isApplying = false
        var waiting: [CheckedContinuation<Void, Never>] = []

        /// Everybody looks again.
        mutating func takeWaiting() -> [CheckedContinuation<Void, Never>] {
            defer { waiting = [] }
            return waiting
        }
    }

    private enum Step {
        case done
        case wait
        case apply(ClusterNetwork, version: Int, from: Ruleset?)
    }

    private let state: Mutex<State>
    private let tool: PacketFilterTool
    private let table: String

    /// `nil` on the host's network, and where there is no `nft`.
    package convenience init?(network: NodeNetwork, spawner: any ProcessSpawner) {
        guard case .bridge(let bridge) = network.mode, let tool = PacketFilterTool(spawner: spawner) else { return nil }
        self.init(
            ClusterNetwork(
                table: network.table, linkPrefix: network.linkPrefix, podRange: bridge.pods,
                serviceRange: network.services, gateway: bridge.address), tool: tool)
    }

    package init(_ network: ClusterNetwork, tool: PacketFilterTool) {
        table = network.table
        state = Mutex(State(network: network))
        self.tool = tool
    }

    // MARK: What is known

    /// Ports of the server's own that no pod reaches, those on which the gateway serves routes, and the devices that
    /// forward because of us.
    package func set(serverPorts: Set<Int>, publishedPorts: Set<Int>, openedUplinks: Set<String> = []) {
        change {
            $0.network.serverPorts = serverPorts
            $0.network.publishedPorts = publishedPorts
            $0.network.openedUplinks = openedUplinks
        }
    }

    /// Events of a watch of `watched`. With `isFirst` they are all there is, and what is not among them has gone.
    package func onChanges(_ changes: [Change], isFirst: Bool = false) {
        change { state in
            if isFirst {
                state.network.pods = [:]
                state.network.services = [:]
                state.network.namespaces = [:]
                state.network.policies = [:]
            }
            for change in changes { Self.take(change, &state) }
        }
    }

    private static func take(_ change: Change, _ state: inout State) {
        let document = change.document
        let key = ObjectKey(change.resource, namespace: document.namespace, name: document.name)
        switch change.resource {
        case pods:
            var pod = change.isDeleted ? nil : ClusterNetwork.Pod(document)
            pod?.place = state.places[document.uid]
            state.network.pods[document.uid] = pod
        case services: state.network.services[key] = change.isDeleted ? nil : ClusterNetwork.Service(document)
        case namespaces:
            state.network.namespaces[document.name] = change.isDeleted ? nil : ClusterNetwork.Namespace(document)
        case policies: state.network.policies[key] = change.isDeleted ? nil : NetworkPolicy(document)
        default: break
        }
    }

    /// A pod is on the network, or with `nil` no longer. Its packets pass once both this and its document are known and
    /// `settle` has returned.
    package func place(_ uid: String, at place: ClusterNetwork.Place?) {
        change {
            $0.places[uid] = place
            $0.network.pods[uid]?.place = place
        }
    }

    private func change(_ change: (inout State) -> Void) {
        state.withLock { state in
            let before = state.network
            change(&state)
            if state.network != before { state.version += 1 }
        }
    }

    /// What is known of the pod that has an address.
    func pod(at address: IPv4Address) -> (pod: ClusterNetwork.Pod, rules: [EgressRule])? {
        state.withLock { state in
            guard let pod = state.network.pods.values.first(where: { $0.place?.address == address }) else { return nil }
            return (pod, [state.network.namespaces[pod.namespace]?.egress, pod.egress].compactMap { $0 })
        }
    }

    // MARK: The kernel

    /// Returns when the kernel's rules are at least as new as what was known at the call.
    package func settle() async throws(ProcessError) {
        let wanted = state.withLock { $0.version }
        while true {
            let step = state.withLock { state -> Step in
                if state.appliedVersion >= wanted { return .done }
                if state.isApplying { return .wait }
                state.isApplying = true
                return .apply(state.network, version: state.version, from: state.applied)
            }
            switch step {
            case .done: return
            case .wait: await waitForApplication()
            case .apply(let network, let version, let old):
                let target = Ruleset.walls(of: network)
                do throws(ProcessError) {
                    try await apply(target, after: old)
                    finish(target, version)
                } catch {
                    finish(nil, nil)
                    throw error
                }
            }
        }
    }

    private func apply(_ target: Ruleset, after old: Ruleset?) async throws(ProcessError) {
        if let old {
            let changes = target.changes(from: old)
            if changes.isEmpty { return }
            do throws(ProcessError) {
                return try await tool.apply(changes)
            } catch {
                // Somebody has taken our table away, or changed it: the whole says what it must be.
            }
        }
        try await tool.apply(target.text)
    }

    private func finish(_ ruleset: Ruleset?, _ version: Int?) {
        let waiting = state.withLock { state in
            state.applied = ruleset
            state.isApplying = false
            if let version { state.appliedVersion = version }
            return state.takeWaiting()
        }
        for continuation in waiting { continuation.resume() }
    }

    private func waitForApplication() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.isApplying { state.waiting.append(continuation) }
                return !state.isApplying
            }
            if isOver { continuation.resume() }
        }
    }

    /// Puts the rules back where somebody has taken them away, as a reload of the machine's own firewall may.
    package func verify() async throws(ProcessError) {
        if await tool.has(table: table, chain: "from-pod") { return }
        state.withLock { state in
            state.applied = nil
            state.version += 1
        }
        try await settle()
    }

    /// Lets a namespace's air-gapped pods speak to these addresses of an allowed name for so long.
    func learn(_ addresses: [IPv4Address], of pattern: String, namespace: String, seconds: Int)
        async throws(ProcessError)
    {
        try await settle()
        let set = WallsComputation.learned(namespace, pattern)
        guard !addresses.isEmpty, state.withLock({ $0.applied?.sets[set] }) != nil else { return }
        let list = addresses.map(\.description)
        // An element that is there keeps its time on older kernels: it is taken out first.
        try await tool.apply(
            """
            add element inet \(table) \(set) { \(list.joined(separator: ", ")) }
            delete element inet \(table) \(set) { \(list.joined(separator: ", ")) }
            add element inet \(table) \(set) { \(list.map { "\($0) timeout \(seconds)s" }.joined(separator: ", ")) }

            """)
    }

    /// Takes the rules away at a complete stop.
    package func remove() async throws(ProcessError) {
        try await tool.apply("add table inet \(table)\ndelete table inet \(table)\n")
    }
}
