internal import Client
internal import Documents
internal import Seams

/// The changes of one collection as the server words them, over the ends of streams and restarts of the server.
struct ChangeReader {
    let client: HTTPClient
    /// Path of the collection, percent-encoded.
    let collection: String
    /// Query members beside those of every watch.
    let selectors: [(String, String)]
    let accept: String
    /// What the next stream begins after; `0` begins with what is there.
    var revision: String

    private static let pause = Duration.milliseconds(500)
    /// How often in a row the server may be out of reach, once it was in reach.
    private static let attempts = 60

    /// Calls `body` with each event's object. Ends by throwing only: what the server refuses, or what `body` throws.
    mutating func read(_ body: (JSON) throws -> Void) async throws {
        // Who knows a revision has had an answer.
        var attemptsLeft = revision == "0" ? 0 : Self.attempts
        while true {
            do {
                let query = HTTPClient.query([("watch", "true"), ("resourceVersion", revision)] + selectors)
                let stream = try await client.stream(collection + query, accept: accept)
                attemptsLeft = Self.attempts
                try await read(stream, body)
            } catch let error as APIError where error.reason == .serviceUnavailable && attemptsLeft > 0 {
                attemptsLeft -= 1
                try await SystemClock().sleep(for: Self.pause)
            }
        }
    }

    private mutating func read(_ stream: ByteStream, _ body: (JSON) throws -> Void) async throws {
        var rest: [UInt8] = []
        while let bytes = try await stream.next() {
            rest += bytes
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let event = try JSONParser.parse(rest[..<end], maximumBytes: ClientLimits.eventBytes)
                rest.removeSubrange(...end)
                guard let object = event["object"] else { continue }
                if let error = APIError(status: object) { throw error }
                revision = Self.revision(of: object) ?? revision
                if event["type"]?.stringValue != "BOOKMARK" { try body(object) }
            }
        }
    }

    /// The revision of a document, or of the last row of a table.
    private static func revision(of object: JSON) -> String? {
        object["rows"]?.arrayValue?.last?["object"]?["metadata"]?["resourceVersion"]?.stringValue
            ?? object["metadata"]?["resourceVersion"]?.stringValue
    }
}
