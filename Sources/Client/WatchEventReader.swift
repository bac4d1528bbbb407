internal import Documents

/// The events of one resource's watch, read from the lines of its stream in whatever pieces they arrive.
struct WatchEventReader: Sendable {
    let resource: GroupResource
    /// Events that are there but not handed out.
    var ready: [WatchEvent] = []
    /// The last revision that was shown.
    var revision = ""
    /// Whether all that was there when the stream began has arrived, as the server's mark says.
    private(set) var hasBegun = false
    /// The start of an event whose end has not arrived.
    private var rest: [UInt8] = []

    init(resource: GroupResource) { self.resource = resource }

    mutating func read(_ bytes: [UInt8]) throws(APIError) {
        rest += bytes
        if rest.count > ClientLimits.eventBytes { throw APIError.badRequest("a watch event is too large") }
        var start = 0
        while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[start..<end]
            start = end + 1
            if !line.isEmpty { try decode(line) }
        }
        rest.removeSubrange(..<start)
    }

    /// Forgets the start of an event: its stream has ended.
    mutating func dropRest() { rest = [] }

    private mutating func decode(_ line: ArraySlice<UInt8>) throws(APIError) {
        guard let json = try? JSONParser.parse(line, maximumBytes: ClientLimits.eventBytes), let object = json["object"]
        else {
            throw APIError.badRequest("expected a watch event as JSON, found something else")
        }
        let type = json["type"]?.stringValue ?? ""
        if type == "ERROR" { throw APIError(status: object) ?? APIError.badRequest("the watch failed") }
        let document = Document(object)
        if !document.resourceVersion.isEmpty { revision = document.resourceVersion }
        if let kind = WatchEvent.Kind(rawValue: type) {
            ready.append(WatchEvent(kind, resource, document))
        } else if document.metadata["annotations"]?["k8s.io/initial-events-end"]?.stringValue == "true" {
            hasBegun = true
        }
    }
}
