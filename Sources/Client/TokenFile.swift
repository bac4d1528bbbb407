internal import Seams
internal import Synchronization

/// The token in a file, as it was within the last minute. A file that cannot be read leaves the token that was there.
final class TokenFile: Sendable {
    private struct State {
        var token: String?
        var readAt: Duration?
    }

    private let path: String
    private let readFile: @Sendable (String) throws -> [UInt8]
    private let state = Mutex(State())

    init(_ path: String, _ readFile: @escaping @Sendable (String) throws -> [UInt8]) {
        self.path = path
        self.readFile = readFile
    }

    var token: String? {
        let now = SystemClock().monotonic()
        return state.withLock { state in
            if let readAt = state.readAt, now - readAt < .seconds(60) { return state.token }
            state.readAt = now
            if let bytes = try? readFile(path) {
                state.token = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
            }
            return state.token
        }
    }
}
