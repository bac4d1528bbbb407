/// What this module refuses to go beyond.
package enum JournalLimits {
    /// Bytes of one record's payload. A longer length in a header is damage, not a record.
    package static let payloadBytes = 64 * 1024 * 1024
    /// Bytes written with one sync, unless a single record is longer.
    static let batchBytes = 4 * 1024 * 1024
    /// Files kept to be written over: what one table lets go of, and a little more.
    static let spareSegments = 4
    /// How long nothing is written before a note says how far the log is durable.
    static let noteMilliseconds = 10
    /// How long to wait before a full device is tried again, unless somebody asks for it.
    static let retryMilliseconds = 1000
}

/// How the log is laid out; the defaults are those of the server.
package struct JournalConfiguration: Sendable {
    /// A segment that has reached this size is followed by a new one.
    package var segmentBytes = 8 * 1024 * 1024
    /// The file grows by zeros this far ahead, so that most syncs change no file size. Each growth is a commit of the
    /// file system's own journal, which a batch waits for.
    package var growthBytes = 2 * 1024 * 1024

    package init() {}
}
