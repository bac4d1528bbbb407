/// What this module refuses to go beyond, and when it forgets.
package enum StoreLimits {
    /// Bytes of one key. Names and namespaces are at most 253 bytes each.
    package static let keyBytes = 1024
    /// Bytes of one value: a document of 3 MiB and what the server adds to it.
    package static let valueBytes = 4 * 1024 * 1024
    /// Operations in one transaction.
    package static let operations = 128
    /// Bytes that wait for the disk before writes are refused.
    package static let pendingBytes = 128 * 1024 * 1024
    /// States of the past that are kept because they may be asked for again.
    static let rebuiltStates = 4
    /// Bytes of a table that one read takes at most, and that it takes although nobody asked for them.
    static let readBytes = 1024 * 1024
    static let readGap = 4096
    /// How long a write that is sequenced waits for space on the device before its writer is told that it may be lost.
    package static let stalledWait = Duration.seconds(10)
    /// The shortest time between two attempts at a full device.
    static let stalledPause = Duration.milliseconds(100)
    /// Bytes after which a block of a snapshot file ends.
    static let snapshotBlockBytes = 1024 * 1024
    /// Bytes of an object of a replica that are sent or fetched at once.
    package static let replicaPieceBytes = 8 * 1024 * 1024
    /// How often a replica is asked whether it is still ours.
    static let replicaConfirmation = Duration.seconds(60)
    /// Pieces of one segment in a replica before one takes their place.
    static let replicaPieces = 64
    /// Revisions one poll of a watch returns at most.
    static let pollRevisions = 512
}
