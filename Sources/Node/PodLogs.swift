package import Documents
package import Seams
internal import Synchronization

/// What a client asks of a container's log, as the query of `pods/<name>/log` says it.
package struct ContainerLogRequest: Sendable {
    package var key: ObjectKey
    /// Empty: the pod's only container.
    package var container = ""
    package var isFollowing = false
    /// The attempt before the current one.
    package var isPrevious = false
    package var hasTimestamps = false
    package var tailLines: Int?
    /// Only lines from this time on.
    package var since: Instant?
    package var limitBytes: Int?

    package init(_ key: ObjectKey) { self.key = key }
}

/// A container's log that is being read: by one reader at a time, piece by piece. The composition root hands it to the
/// API server. Ends where the log ends, when followed with the container.
package final class ContainerLog: Sendable {
    private struct State {
        var reader: LogReader
        var filter: LogFilter
        var isOver = false
    }

    private let state: Mutex<State>
    private let isFollowing: Bool
    private let isRunning: @Sendable () -> Bool
    private let clock: any Clock

    init(_ request: ContainerLogRequest, path: String, clock: any Clock, isRunning: @escaping @Sendable () -> Bool) {
        var reader = LogReader(path)
        reader.open(tailLines: request.tailLines)
        state = Mutex(State(reader: reader, filter: LogFilter(request)))
        isFollowing = request.isFollowing
        self.isRunning = isRunning
        self.clock = clock
    }

    deinit { state.withLock { $0.reader.close() } }

    /// The next piece, waited for while the log is followed; `nil` at the end and when the task is cancelled.
    package func next() async -> [UInt8]? {
        while !Task.isCancelled {
            // Looked at before the file: what was written before the end is still read.
            let isLive = isFollowing && isRunning()
            let (output, isMore) = state.withLock { state in
                if state.isOver || state.filter.remaining <= 0 { return ([UInt8]?.none, false) }
                let bytes = state.reader.next()
                return (state.filter.take(bytes), !bytes.isEmpty)
            }
            guard let output else { return nil }
            if !output.isEmpty { return output }
            if isMore { continue }
            guard isLive else { return nil }
            try? await clock.sleep(for: Limits.logFollowPause)  // Cancelled: the loop's condition sees it.
        }
        return nil
    }

    /// Ends the reading at its next piece.
    package func cancel() { state.withLock { $0.isOver = true } }
}

/// Turns the file's form into what clients see: strips time, stream and tag, joins pieces, honours bounds. Pure.
struct LogFilter {
    let hasTimestamps: Bool
    let since: String?
    private(set) var remaining: Int
    private var partial: [UInt8] = []
    private var isInLine = false

    init(_ request: ContainerLogRequest) {
        hasTimestamps = request.hasTimestamps
        since = request.since?.rfc3339Micro
        remaining = request.limitBytes ?? .max
    }

    mutating func take(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            partial += bytes[start..<end]
            append(partial[...], to: &output)
            partial.removeAll(keepingCapacity: true)
            start = end + 1
        }
        partial += bytes[start...]
        let allowed = Array(output.prefix(remaining))
        remaining -= allowed.count
        return allowed
    }

    private mutating func append(_ line: ArraySlice<UInt8>, to output: inout [UInt8]) {
        let parts = line.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return }
        // Both are RFC 3339 in UTC with a fraction: they compare as text, up to the shorter one's digits.
        if let since, parts[0].lexicographicallyPrecedes(Array(since.utf8).dropLast()) { return }
        if hasTimestamps, !isInLine { output += parts[0] + [0x20] }
        output += parts[3]
        isInLine = parts[2].first == UInt8(ascii: "P")
        if !isInLine { output.append(0x0A) }
    }
}
