internal import Documents
internal import Seams

/// The writes a loop has made and not yet seen in its cache. Until it has, it must not decide about that primary again:
/// it would decide on a world from before its own writes. Within the server the next poll shows them; a remote API takes
/// a moment. Versions are compared per document, never across kinds.
struct OwnWrites<Item: Hashable & Sendable>: Sendable {
    enum Expectation: Sendable, Equatable {
        /// The document at this version or a later one.
        case version(String)
        /// The document with this UID is gone or going.
        case gone(uid: String)
    }

    private var expected: [Item: [ObjectKey: Expectation]] = [:]
    /// In the order in which they began to wait.
    private var items: [ObjectKey: [Item]] = [:]
    private var deadlines: [Item: Instant] = [:]

    mutating func expect(_ item: Item, _ key: ObjectKey, _ expectation: Expectation, cached: Document?, now: Instant) {
        if Self.isMet(expectation, cached) { return }
        expected[item, default: [:]][key] = expectation
        if items[key]?.contains(item) != true { items[key, default: []].append(item) }
        deadlines[item] = now + ControlLoopLimits.ownWriteDeadline
    }

    func isWaiting(_ item: Item) -> Bool { expected[item] != nil }
    func isOverdue(_ item: Item, now: Instant) -> Bool { deadlines[item].map { $0 <= now } ?? false }
    func deadline(_ item: Item) -> Instant? { deadlines[item] }

    /// Tells what the cache now holds under `key`; answers the items that need not wait any longer.
    mutating func seen(_ key: ObjectKey, _ document: Document?) -> [Item] {
        guard let waiting = items[key] else { return [] }
        var released: [Item] = []
        for item in waiting {
            guard let expectation = expected[item]?[key], Self.isMet(expectation, document) else { continue }
            expected[item]?[key] = nil
            items[key]?.removeAll { $0 == item }
            if expected[item]?.isEmpty == true {
                expected[item] = nil
                deadlines[item] = nil
                released.append(item)
            }
        }
        if items[key]?.isEmpty == true { items[key] = nil }
        return released
    }

    private static func isMet(_ expectation: Expectation, _ cached: Document?) -> Bool {
        switch expectation {
        case .gone(let uid): return cached.map { $0.uid != uid || $0.isBeingDeleted } ?? true
        case .version(let version):
            guard let cached else { return false }
            if let seen = UInt64(cached.resourceVersion), let wanted = UInt64(version) { return seen >= wanted }
            return cached.resourceVersion == version
        }
    }
}
