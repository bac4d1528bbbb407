package import Journal

/// How a store behaves; the defaults are those of the server.
package struct StoreConfiguration: Sendable {
    /// Who writes the log.
    package enum Committing: Sendable {
        /// A thread of its own, which syncs everything that came in while it was busy at once.
        case thread
        /// Whoever calls `waitDurable` or `flush`: for simulation, where one thread does everything.
        case inline
    }
    package var committing: Committing = .thread
    /// History older than this is compacted.
    package var historyAge: Duration = .seconds(300)
    package var historyRevisions = 50_000
    /// Bytes of values that history keeps in memory.
    package var historyBytes = 32 * 1024 * 1024

    package var journal = JournalConfiguration()
    /// Whole segments of forgotten history that call for a new table, after which they are deleted.
    package var segmentsPerTable = 2
    /// How fast values on disk are read again in the background to find what rots; 0 for not at all.
    package var verificationBytesPerSecond = 4 * 1024 * 1024
    /// From the end of one such round to the next.
    package var verificationPause: Duration = .seconds(86_400)

    package init() {}
}
