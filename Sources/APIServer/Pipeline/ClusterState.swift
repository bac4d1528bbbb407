internal import Documents
internal import Store

/// What the pipeline must know beyond the document at hand: who owns whom, which addresses are taken, and what remains
/// to be tidied. Changed only while a commit holds the lock, so it has seen exactly the sequenced revisions.
struct ClusterState {
    var ownership = OwnershipGraph()
    var addresses: ServiceAddresses
    private(set) var tasks = TidyQueue()
    /// Namespaces that are being deleted.
    private(set) var terminating: Set<String> = []
    /// Resources whose definition is being deleted.
    private(set) var purging: Set<GroupResource> = []

    init(addresses: ServiceAddresses) { self.addresses = addresses }

    /// Takes note of a committed change. During recovery owners may come after their dependents, so nothing is concluded
    /// before `examineAll`.
    mutating func record(key: ObjectKey, old: Document?, new: Document?, isRecovery: Bool = false) {
        for task in ownership.record(key: key, old: old, new: new) where !isRecovery { tasks.add(task) }
        if key.resource == WellKnown.services { recordAddress(old: old, new: new) }
        if key.resource == WellKnown.namespaces { recordNamespace(key.name, new) }
        if key.resource == WellKnown.customResourceDefinitions { recordDefinition(old, new) }
        if NamespaceContents.isOne(of: key), !isRecovery, !terminating.contains(key.namespace) {
            tasks.add(.provisionNamespace(key.namespace))
        }
        if new == nil {
            if terminating.contains(key.namespace) { tasks.add(.purgeNamespace(key.namespace)) }
            if purging.contains(key.resource) { tasks.add(.purgeResource(key.resource)) }
        } else if old == nil, terminating.contains(key.namespace) {
            tasks.add(.purgeNamespace(key.namespace))
        }
    }

    /// After recovery: looks once at everything that could have been left half done.
    mutating func examineAll() {
        for task in ownership.allTasks { tasks.add(task) }
        for namespace in terminating.sorted() { tasks.add(.purgeNamespace(namespace)) }
        for resource in purging.sorted() { tasks.add(.purgeResource(resource)) }
    }

    mutating func nextTask() -> TidyTask? { tasks.next() }
    mutating func add(_ task: TidyTask) { tasks.add(task) }

    private mutating func recordAddress(old: Document?, new: Document?) {
        let before = old?.spec["clusterIP"]?.stringValue ?? ""
        let after = new?.spec["clusterIP"]?.stringValue ?? ""
        if before != after { addresses.release(before) }
        addresses.take(after)
    }

    private mutating func recordNamespace(_ name: String, _ document: Document?) {
        if let document, document.isBeingDeleted {
            if terminating.insert(name).inserted { tasks.add(.purgeNamespace(name)) }
        } else {
            terminating.remove(name)
        }
    }

    private mutating func recordDefinition(_ old: Document?, _ new: Document?) {
        guard let document = new ?? old, let definition = ResourceDefinition(customResourceDefinition: document) else {
            return
        }
        if let new, new.isBeingDeleted {
            if purging.insert(definition.groupResource).inserted { tasks.add(.purgeResource(definition.groupResource)) }
        } else {
            purging.remove(definition.groupResource)
        }
    }
}

/// Something the server does by itself after a write: what garbage collection and namespace deletion consist of.
enum TidyTask: Hashable, Sendable {
    /// Looks whether the document with this UID still has an owner.
    case examine(String)
    /// The owner with this UID goes once the dependents that block it have gone.
    case finishForeground(String)
    /// Takes the owner with this UID out of its dependents.
    case orphan(String)
    /// Puts into a namespace what every one has.
    case provisionNamespace(String)
    case purgeNamespace(String)
    case purgeResource(GroupResource)
}

/// Tasks in the order they came, each once.
struct TidyQueue {
    private var order: [TidyTask] = []
    private var head = 0
    private var members: Set<TidyTask> = []

    var isEmpty: Bool { members.isEmpty }

    mutating func add(_ task: TidyTask) {
        if members.insert(task).inserted { order.append(task) }
    }

    mutating func next() -> TidyTask? {
        guard head < order.count else { return nil }
        let task = order[head]
        head += 1
        members.remove(task)
        if head == order.count || head > 1024 {
            order.removeFirst(head)
            head = 0
        }
        return task
    }
}

/// Who owns whom, by UID, over all documents.
struct OwnershipGraph {
    struct Node {
        var key: ObjectKey
        /// UIDs of owners, with whether this document blocks their foreground deletion.
        var owners: [(uid: String, blocks: Bool)]
        /// Being deleted, but only after its dependents.
        var waitsForDependents: Bool
    }

    static let foregroundFinalizer = "foregroundDeletion"
    static let orphanFinalizer = "orphan"

    private var nodes: [String: Node] = [:]
    private var dependentsByOwner: [String: Set<String>] = [:]

    subscript(uid: String) -> Node? { nodes[uid] }

    /// In byte order, so that the same history gives the same deletions.
    func dependents(of uid: String) -> [String] { (dependentsByOwner[uid] ?? []).sorted() }

    func hasDependents(_ uid: String) -> Bool { !(dependentsByOwner[uid] ?? []).isEmpty }

    /// Dependents that must go before their owner does.
    func blocking(_ uid: String) -> [String] {
        dependents(of: uid).filter { nodes[$0]?.owners.contains { $0.uid == uid && $0.blocks } == true }
    }

    var allTasks: [TidyTask] {
        var tasks: [TidyTask] = []
        for (uid, node) in nodes.sorted(by: { $0.value.key < $1.value.key }) {
            if node.owners.contains(where: { !isSolid($0.uid, for: node.key) }) { tasks.append(.examine(uid)) }
            if node.waitsForDependents { tasks.append(.finishForeground(uid)) }
        }
        return tasks
    }

    mutating func record(key: ObjectKey, old: Document?, new: Document?) -> [TidyTask] {
        let oldUID = old?.uid ?? ""
        guard let new else { return remove(oldUID) }
        let uid = new.uid
        if uid.isEmpty { return [] }
        let before = nodes[uid]
        let owners = new.ownerReferences.map { (uid: $0.uid, blocks: $0.blocksOwnerDeletion) }
        let finalizers = new.isBeingDeleted ? new.finalizers : []
        let waits = finalizers.contains(Self.foregroundFinalizer)
        for owner in before?.owners ?? [] { unlink(uid, from: owner.uid) }
        for owner in owners { dependentsByOwner[owner.uid, default: []].insert(uid) }
        nodes[uid] = Node(key: key, owners: owners, waitsForDependents: waits)
        var tasks: [TidyTask] = []
        let isChanged = !(before?.owners ?? []).elementsEqual(owners) { $0.uid == $1.uid && $0.blocks == $1.blocks }
        if isChanged, owners.contains(where: { !isSolid($0.uid, for: key) }) { tasks.append(.examine(uid)) }
        if isChanged {
            for owner in before?.owners ?? [] where nodes[owner.uid]?.waitsForDependents == true {
                tasks.append(.finishForeground(owner.uid))
            }
        }
        if waits, before?.waitsForDependents != true {
            for dependent in dependents(of: uid) { tasks.append(.examine(dependent)) }
            tasks.append(.finishForeground(uid))
        }
        if finalizers.contains(Self.orphanFinalizer) { tasks.append(.orphan(uid)) }
        return tasks
    }

    /// Whether an owner is there, is near enough to own the dependent, and is not on its way out.
    private func isSolid(_ owner: String, for dependent: ObjectKey) -> Bool {
        guard let node = nodes[owner], !node.waitsForDependents else { return false }
        return node.key.namespace.isEmpty || node.key.namespace == dependent.namespace
    }

    private mutating func remove(_ uid: String) -> [TidyTask] {
        guard let node = nodes.removeValue(forKey: uid) else { return [] }
        for owner in node.owners { unlink(uid, from: owner.uid) }
        var tasks = dependents(of: uid).map { TidyTask.examine($0) }
        for owner in node.owners where nodes[owner.uid]?.waitsForDependents == true {
            tasks.append(.finishForeground(owner.uid))
        }
        return tasks
    }

    private mutating func unlink(_ uid: String, from owner: String) {
        dependentsByOwner[owner]?.remove(uid)
        if dependentsByOwner[owner]?.isEmpty == true { dependentsByOwner[owner] = nil }
    }
}

/// The addresses Services have, out of one IPv4 range. The first and the last of the range are never given.
struct ServiceAddresses {
    private let base: UInt32
    private let count: UInt32
    private var used: Set<UInt32> = []
    private var last: UInt32 = 9

    /// `nil` where `range` is no IPv4 range of 8 to 2²⁴ addresses.
    init?(range: String) {
        let parts = range.split(separator: "/")
        guard parts.count == 2, let bits = Int(parts[1]), (8...29).contains(bits),
            let address = Self.parse(String(parts[0]))
        else { return nil }
        count = 1 << UInt32(32 - bits)
        base = address & ~(count - 1)
    }

    /// The next free address behind the one given last: an address that was freed is not given again at once.
    mutating func allocate() -> String? {
        for _ in 0..<min(count, UInt32(APIServerLimits.addressAttempts)) {
            last = last + 1 < count - 1 ? last + 1 : 1
            if used.insert(last).inserted { return Self.text(base + last) }
        }
        return nil
    }

    /// Whether an address a document asks for lies in the range and is free.
    func isFree(_ text: String) -> Bool { offset(text).map { !used.contains($0) } ?? false }
    func contains(_ text: String) -> Bool { offset(text) != nil }

    mutating func take(_ text: String) {
        if let offset = offset(text) { used.insert(offset) }
    }

    mutating func release(_ text: String) {
        if let offset = offset(text) { used.remove(offset) }
    }

    private func offset(_ text: String) -> UInt32? {
        guard let address = Self.parse(text), address > base, address - base < count - 1 else { return nil }
        return address - base
    }

    static func parse(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.utf8.count <= 3, let byte = UInt8(part) else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    static func text(_ address: UInt32) -> String {
        "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
    }
}
