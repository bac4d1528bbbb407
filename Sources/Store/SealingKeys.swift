internal import Crypto
package import Seams

/// The keys that seal values before they reach the log. Records name the key that sealed them, so old keys stay usable.
package struct SealingKeys: Sendable {
    /// One key, under the number that records name it with.
    struct Key: Sendable {
        let number: UInt16
        /// When it was made; `nil` where the file does not say.
        let created: Instant?
        let secret: SymmetricKey
    }

    /// Bytes by which a sealed value is longer: nonce and tag.
    static let overhead = 28

    private var keys: [UInt16: Key]
    /// The key that seals what is written now: the highest number. 0 while there is none.
    private(set) var current: UInt16

    init(_ keys: [Key] = []) {
        self.keys = Dictionary(keys.map { ($0.number, $0) }) { $1 }
        current = self.keys.keys.max() ?? 0
    }

    /// A key that is kept nowhere: for tests and simulations.
    package static func ephemeral() -> SealingKeys {
        SealingKeys([Key(number: 1, created: nil, secret: SymmetricKey(size: .bits256))])
    }

    package var isEmpty: Bool { keys.isEmpty }

    /// The number of the key that seals now.
    package var newest: UInt16 { current }

    /// Numbers and times of all keys, by number.
    package var list: [(number: UInt16, created: Instant?)] {
        keys.values.map { ($0.number, $0.created) }.sorted { $0.number < $1.number }
    }

    func holds(_ number: UInt16) -> Bool { keys[number] != nil }

    /// These keys and those of `other`. A number that stands for two different keys is refused: what one of them sealed
    /// could not be opened any more.
    func merging(_ other: SealingKeys) throws(StoreError) -> SealingKeys {
        for (number, key) in other.keys {
            if let known = keys[number], known.secret != key.secret {
                throw .sealed(reason: "there are two different keys of number \(number): put the first one back")
            }
        }
        return SealingKeys(Array(keys.merging(other.keys) { $1 }.values))
    }

    /// These keys without one of them.
    func removing(_ number: UInt16) -> SealingKeys { SealingKeys(keys.values.filter { $0.number != number }) }

    // MARK: Sealing

    /// Encrypts a value under the key of `number` so that it opens only under its own key and revision.
    func seal(_ value: [UInt8], with number: UInt16, key: StoreKey, revision: Revision) throws(StoreError) -> [UInt8] {
        guard let sealing = keys[number] else {
            throw .sealed(
                reason: "\(key) is to be sealed, and there is no sealing key \(number == 0 ? "" : "\(number)")")
        }
        do {
            let box = try AES.GCM.seal(value, using: sealing.secret, authenticating: Self.binding(key, revision))
            guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
            return Array(combined)
        } catch {
            throw .sealed(reason: "\(key) cannot be sealed: \(error)")
        }
    }

    func seal(_ value: [UInt8], key: StoreKey, revision: Revision) throws(StoreError) -> [UInt8] {
        try seal(value, with: current, key: key, revision: revision)
    }

    func open(
        _ sealed: [UInt8], with number: UInt16, key: StoreKey, revision: Revision
    ) throws(StoreError) -> [UInt8] {
        guard let opening = keys[number] else {
            throw .sealed(
                reason: """
                    sealing key \(number) is missing, and \(key) at revision \(revision) needs it: put \(number).key \
                    back among the keys, or let the key command print it; without it what it sealed stays closed. \
                    Nothing was changed
                    """)
        }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed)
            return Array(try AES.GCM.open(box, using: opening.secret, authenticating: Self.binding(key, revision)))
        } catch {
            throw .sealed(
                reason: """
                    \(key) at revision \(revision) does not open with sealing key \(number), which is not the key that \
                    sealed it: put the right \(number).key back. Nothing was changed
                    """)
        }
    }

    private static func binding(_ key: StoreKey, _ revision: Revision) -> [UInt8] {
        var bytes = key.bytes
        bytes.append(0)
        withUnsafeBytes(of: revision.rawValue.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }
}
