internal import Documents

/// Where the watch of one resource stands: what has arrived and was not handed out, and where the stream goes on.
struct WatchedCollection: Sendable {
    let path: String
    var events: WatchEventReader
    var stream: ByteStream?
    /// Whether the stream has said anything yet.
    private var isFruitful = false
    /// Whether the stream before said nothing: the next one is not opened at once.
    private(set) var pauses = false

    var resource: GroupResource { events.resource }

    init(resource: GroupResource, path: String) {
        self.path = path
        events = WatchEventReader(resource: resource)
    }

    /// Takes in everything that has arrived; answers why the watch cannot go on, if it cannot.
    mutating func advance() -> APIError? {
        do throws(APIError) {
            if try take() { return nil }
        } catch {
            // A connection that broke is resumed like one that ended, unless it never said anything.
            if error.reason != .serviceUnavailable || !isFruitful { return error }
        }
        stream = nil
        pauses = !isFruitful
        isFruitful = false
        events.dropRest()
        return nil
    }

    /// Takes in everything that has arrived; false once the stream has ended.
    mutating func take() throws(APIError) -> Bool {
        guard let stream else { return true }
        // Until nothing is left, the end included: what is seen here is not signalled again.
        while let bytes = try stream.take() {
            if bytes.isEmpty { return true }
            isFruitful = true
            try events.read(bytes)
        }
        return false
    }
}
