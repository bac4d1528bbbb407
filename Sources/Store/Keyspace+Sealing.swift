internal import Journal
package import Seams
internal import Synchronization

/// The keys of one store, which its tables share: a rotation reaches them all at once.
final class KeyRing: Sendable {
    private let ring: Mutex<SealingKeys>

    init(_ keys: SealingKeys) { ring = Mutex(keys) }

    var keys: SealingKeys { ring.withLock { $0 } }

    /// Takes in new keys and returns all.
    func merge(_ newer: SealingKeys) throws(StoreError) -> SealingKeys {
        try ring.withLock { ring throws(StoreError) in
            ring = try ring.merging(newer)
            return ring
        }
    }
}

/// Rotation of keys, and bringing what is stored to what is configured. Each step leaves a state that a crash may keep:
/// a key is durable before it seals, what an older key sealed is rewritten a document at a time, and an older key is
/// needed until no file names it any more.
extension Keyspace {
    /// What opens and seals values now.
    var keys: SealingKeys { keyRing.keys }

    /// The number of the key that seals what is written now; 0 while there is none.
    package var sealingKey: UInt16 { keys.current }

    /// The known keys, by number.
    package var keyList: [(number: UInt16, created: Instant?)] { keys.list }

    /// Takes in new keys, which are durable where they are kept. The newest seals from the next write on.
    package func adopt(_ newer: SealingKeys) throws(StoreError) {
        let merged = try keyRing.merge(newer)
        state.withLock { $0.sealingKey = merged.current }
    }

    /// How many values each key seals, in the newest state; 0 stands for those in clear.
    package func keyUse() -> [UInt16: Int] {
        var use: [UInt16: Int] = [:]
        forEach(in: snapshot(.sequenced)) { use[$0.keyIdentifier, default: 0] += 1 }
        return use
    }

    /// Whether an older key seals something still: a rotation is not complete.
    package var hasOlderSeals: Bool {
        let newest = sealingKey
        return keyUse().contains { $0.key != 0 && $0.key != newest }
    }

    /// Rewrites every document that is not sealed as `isSealed` says, or that an older key sealed, each with a
    /// revision of its own and its content as it was. Returns how many when they are durable. May be cut short
    /// anywhere and run again.
    package func reseal(_ isSealed: @Sendable (StoreKey, _ isSealedNow: Bool) -> Bool) async throws(StoreError) -> Int {
        let newest = sealingKey
        let snapshot = snapshot(.sequenced)
        var rewritten = 0
        var last: StoreKey?
        while case let page = snapshot.list(prefix: [], after: last, limit: 64), let end = page.last {
            last = end.key
            var revision: Revision?
            for entry in page {
                let wanted = isSealed(entry.key, entry.isSealed)
                if entry.keyIdentifier == (wanted ? newest : 0) { continue }
                do throws(StoreError) {
                    revision = try commit(try entry.rewriting(isSealed: wanted))
                    rewritten += 1
                } catch {
                    // Written meanwhile, hence as it should be.
                    guard case .conditionFailed = error else { throw error }
                }
            }
            // A page at a time, so that other writers come in between.
            if let revision { try await waitDurable(revision) }
        }
        return rewritten
    }

    private func forEach(in snapshot: Snapshot, _ body: (Entry) -> Void) {
        var last: StoreKey?
        while case let page = snapshot.list(prefix: [], after: last, limit: 256), let end = page.last {
            last = end.key
            for entry in page { body(entry) }
        }
    }
}

extension Entry {
    /// The transaction that writes this value again, as it is but for its seal and its revision.
    func rewriting(isSealed: Bool) throws(StoreError) -> Transaction {
        var bytes = try value.array
        if let offset = revisionOffset { bytes.removeSubrange(offset..<offset + modRevision.digits.count) }
        return Transaction(
            conditions: [.unchanged(key, modRevision)],
            operations: [.put(key, value: bytes, revisionOffset: revisionOffset, sealed: isSealed)])
    }
}
