/// What the store takes, for whoever watches it.
package struct StoreStatistics: Sendable {
    package let documents: Int
    /// Files of the log that are still needed.
    package let segments: Int
    package let tables: Int
    package let tableBytes: Int
    /// About what all documents would take in one table.
    package let liveBytes: Int
    /// Changes that watches can still be told, and the bytes of values they keep in memory.
    package let historyRevisions: Int
    package let historyBytes: Int
    /// Merges of tables since the start.
    package let merges: Int
}

extension KeyspaceState {
    var statistics: StoreStatistics {
        StoreStatistics(
            documents: tree.count, segments: segments.count, tables: tables.count,
            tableBytes: tables.reduce(0) { $0 + $1.size }, liveBytes: liveBytes, historyRevisions: history.count,
            historyBytes: history.retainedBytes, merges: merges)
    }
}
