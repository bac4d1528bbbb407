/// Why the store refused.
package enum StoreError: Error, Sendable, CustomStringConvertible {
    /// A condition of the transaction does not hold; `current` is what stands under the key now.
    case conditionFailed(StoreKey, current: Entry?)
    /// The revision asked for is older than the history that is kept.
    case compacted(Revision)
    /// The revision asked for has not happened.
    case future(Revision)
    /// Writes are over until a restart: the disk failed.
    case readOnly(reason: String)
    /// The device has no space. What was sequenced before is written once it has, and writes are taken again then.
    case full(reason: String)
    /// More is waiting for the disk than may wait. Try again.
    case busy
    /// A malformed key, or a value or transaction beyond the limits.
    case invalid(reason: String)
    /// Another process serves this data directory.
    case locked(path: String)
    /// The log does not hold what it once held. Nothing was changed; the remedy says what a person can do.
    case damaged(file: String, offset: Int, reason: String, remedy: String)
    /// A file was written by a newer version of Espalier. Nothing was changed.
    case newer(file: String, version: UInt32, supported: UInt32)
    /// The key that sealed some values is not there or does not open them.
    case sealed(reason: String)
    case fileSystem(reason: String)
    case closed

    package var description: String {
        switch self {
        case .conditionFailed(let key, let current):
            current.map { "\(key) is at revision \($0.modRevision), not what the write expected" }
                ?? "\(key) does not exist, which the write expected"
        case .compacted(let revision): "history before revision \(revision) is compacted: read the present state again"
        case .future(let revision): "revision \(revision) has not happened yet"
        case .readOnly(let reason): "the store is read-only: \(reason)"
        case .full(let reason): "no space on the device (\(reason)); free some, writing resumes by itself"
        case .busy: "too many writes wait for the disk: try again"
        case .invalid(let reason): reason
        case .locked(let path): "\(path) is locked: another server uses this data directory; stop it first"
        case .damaged(let file, let offset, let reason, let remedy):
            "\(file) is damaged at byte \(offset): \(reason). \(remedy)"
        case .newer(let file, let version, let supported):
            "\(file) was written by a newer version of Espalier: its format is \(version), this one reads up to "
                + "\(supported). Run the newer version; nothing was changed"
        case .sealed(let reason): reason
        case .fileSystem(let reason): reason
        case .closed: "the store is closed"
        }
    }
}
