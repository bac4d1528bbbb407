/// Where every watch stands. An armed watch has read everything visible and waits; it costs nothing until a change
/// below one of its prefixes becomes visible.
struct CursorTable: Sendable {
    struct Position: Sendable {
        let prefixes: [[UInt8]]
        let visibility: Keyspace.Visibility
        /// Everything up to here was read, or concerns other keys.
        var revision: Revision
        /// Set while armed.
        var wake: (@Sendable () -> Void)?

        /// Whether a change to `key` belongs to this watch.
        func covers(_ key: StoreKey) -> Bool {
            prefixes.contains { $0.isEmpty || $0.last == 0 ? key.hasPrefix($0) : key.bytes == $0 }
        }
    }

    private(set) var positions: [UInt64: Position] = [:]
    /// Armed watches by visibility and prefix, in the order in which they armed themselves.
    private var armed: [Keyspace.Visibility: [[UInt8]: [UInt64]]] = [.sequenced: [:], .durable: [:]]
    private var nextIdentifier: UInt64 = 1
    private(set) var isClosed = false

    mutating func add(_ position: Position) -> UInt64 {
        defer { nextIdentifier += 1 }
        positions[nextIdentifier] = position
        return nextIdentifier
    }

    mutating func remove(_ identifier: UInt64) {
        disarm(identifier)
        positions[identifier] = nil
    }

    mutating func move(_ identifier: UInt64, to revision: Revision) { positions[identifier]?.revision = revision }

    mutating func arm(_ identifier: UInt64, _ wake: @escaping @Sendable () -> Void) {
        disarm(identifier)
        guard let position = positions[identifier] else { return }
        positions[identifier]?.wake = wake
        for prefix in position.prefixes { armed[position.visibility]?[prefix, default: []].append(identifier) }
    }

    /// Wakes and disarms who watches a key that `revision` changes; they will read on from just before it.
    mutating func fire(
        _ revision: RevisionChanges, visibility: Keyspace.Visibility, into wakes: inout [KeyspaceState.Wake]
    ) {
        guard armed[visibility]?.isEmpty == false else { return }
        let before = Revision(rawValue: revision.revision.rawValue - 1)
        for change in revision.changes {
            for prefix in Self.prefixes(of: change.key) {
                // All at once: to take a thousand out one by one is a million comparisons.
                for identifier in armed[visibility]?.removeValue(forKey: prefix) ?? [] {
                    if let wake = positions[identifier]?.wake { wakes.append(wake) }
                    disarm(identifier, but: prefix)
                    positions[identifier]?.revision = before
                }
            }
        }
    }

    mutating func close() -> [KeyspaceState.Wake] {
        isClosed = true
        let wakes = positions.keys.sorted().compactMap { positions[$0]?.wake }
        for identifier in positions.keys.sorted() { disarm(identifier) }
        return wakes
    }

    /// `removed` is a prefix under which it is not any more.
    private mutating func disarm(_ identifier: UInt64, but removed: [UInt8]? = nil) {
        guard let position = positions[identifier], position.wake != nil else { return }
        positions[identifier]?.wake = nil
        for prefix in position.prefixes where prefix != removed {
            armed[position.visibility]?[prefix]?.removeAll { $0 == identifier }
            if armed[position.visibility]?[prefix]?.isEmpty == true { armed[position.visibility]?[prefix] = nil }
        }
    }

    /// Every prefix a watch may have that covers `key`.
    private static func prefixes(of key: StoreKey) -> [[UInt8]] {
        var result: [[UInt8]] = [[]]
        for (index, byte) in key.bytes.enumerated() where byte == 0 { result.append(Array(key.bytes[...index])) }
        result.append(key.bytes)
        return result
    }
}

extension KeyspaceState {
    mutating func addCursor(
        prefixes: [[UInt8]], after: Revision, visibility: Keyspace.Visibility
    ) throws(StoreError) -> UInt64 {
        if cursors.isClosed { throw .closed }
        if after < history.compacted { throw .compacted(after) }
        if after > visible(visibility) { throw .future(after) }
        return cursors.add(.init(prefixes: prefixes, visibility: visibility, revision: after, wake: nil))
    }

    /// The revisions a watch has not read yet, at most a page of them.
    mutating func read(_ identifier: UInt64) throws(StoreError) -> (CursorTable.Position, [RevisionChanges]) {
        guard !cursors.isClosed, let position = cursors.positions[identifier] else { throw .closed }
        let visible = visible(position.visibility)
        if position.wake != nil { return (position, []) }
        if position.revision < history.compacted { throw .compacted(position.revision) }
        let page = history.revisions(after: position.revision, through: visible, limit: StoreLimits.pollRevisions)
        if let last = page.last { cursors.move(identifier, to: last.revision) }
        return (position, page)
    }

    /// Arms the watch, or says that there is something to read (or an end to learn of) right now.
    mutating func arm(_ identifier: UInt64, _ wake: @escaping Wake) -> Bool {
        guard !cursors.isClosed, let position = cursors.positions[identifier] else { return false }
        guard position.wake != nil || position.revision >= visible(position.visibility) else { return false }
        cursors.arm(identifier, wake)
        return true
    }

    func revision(ofCursor identifier: UInt64) -> Revision {
        guard let position = cursors.positions[identifier] else { return history.last }
        return position.wake == nil ? position.revision : visible(position.visibility)
    }

    /// Who must look because revisions up to `revision` became visible.
    mutating func wakes(after low: Revision, through high: Revision, visibility: Keyspace.Visibility) -> [Wake] {
        var wakes: [Wake] = []
        for changes in history.revisions(after: low, through: high, limit: .max) {
            cursors.fire(changes, visibility: visibility, into: &wakes)
        }
        return wakes
    }
}
