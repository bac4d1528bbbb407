package import Documents
package import Seams

/// What a client asks of a pod's log, as the query of `pods/<name>/log` says it.
package struct PodLogRequest: Sendable {
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

/// Where the API server gets a pod's log from; the composition root joins the two.
package protocol PodLogSource: Sendable {
    /// Hands the log to `write` piece by piece, waiting for each to be taken. Returns at the log's end, when following
    /// after the container's; throws `notFound` or `badRequest` before the first piece, and what `write` throws.
    func readLog(_ request: PodLogRequest, write: @Sendable ([UInt8]) async throws -> Void) async throws
}

/// Turns the file's form into what clients see: strips time, stream and tag, joins pieces, honours bounds. Pure.
struct LogFilter {
    let hasTimestamps: Bool
    let since: String?
    private(set) var remaining: Int
    private var partial: [UInt8] = []
    private var isInLine = false

    init(_ request: PodLogRequest) {
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
