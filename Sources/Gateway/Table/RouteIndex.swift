/// A routing table arranged for finding the rule of a request. Immutable, shared by every event loop.
///
/// Of several matches the one wins that Gateway API names: exact host before wildcard, the longer wildcard first; within a
/// host exact path, then the longest prefix, then a method, then the most headers, then the most query parameters, then
/// the oldest route. A host whose own matches all fail leaves the request to the wildcards above it.
final class RouteIndex: Sendable {
    let table: RoutingTable
    private let exact: [String: Int]
    /// By the part after the `*`, with its dot: `.example.com`.
    private let wildcards: [String: Int]
    private let everyHost: Int?

    init(_ table: RoutingTable) {
        var exact: [String: Int] = [:]
        var wildcards: [String: Int] = [:]
        var everyHost: Int?
        for (position, host) in table.hosts.enumerated() {
            if host.name == "*" {
                everyHost = position
            } else if host.name.utf8.first == UInt8(ascii: "*") {
                wildcards[String(host.name.dropFirst())] = position
            } else {
                exact[host.name] = position
            }
        }
        self.table = table
        self.exact = exact
        self.wildcards = wildcards
        self.everyHost = everyHost
    }

    /// The index of the rule for a request and the length of the prefix it matched by; `nil` where none matches.
    func rule(for request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer) -> (rule: Int, prefix: Int)? {
        let host = Self.hostName(request.authority.of(bytes)).lowercasedText()
        if let found = exact[host], let rule = match(found, request, bytes) { return rule }
        if !wildcards.isEmpty {
            var rest = host[...]
            while let dot = rest.firstIndex(of: ".") {
                if let found = wildcards[String(rest[dot...])], let rule = match(found, request, bytes) { return rule }
                rest = rest[rest.index(after: dot)...]
            }
        }
        if let everyHost { return match(everyHost, request, bytes) }
        return nil
    }

    /// The authority without its port and without the dot that may end a full name.
    static func hostName(_ authority: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var end = authority.count
        if authority.last != UInt8(ascii: "]"), let colon = authority.lastIndex(of: UInt8(ascii: ":")) { end = colon }
        if end > 0, authority[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: authority[0..<end])
    }

    private func match(
        _ host: Int, _ request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer
    ) -> (rule: Int, prefix: Int)? {
        let path = request.path.of(bytes)
        for match in table.hosts[host].matches {
            guard let prefix = Self.matches(match.path, path) else { continue }
            if let method = match.method, !Self.isEqual(request.method.of(bytes), method) { continue }
            if !match.headers.isEmpty, !match.headers.allSatisfy({ Self.hasHeader($0, request, bytes) }) { continue }
            if !match.parameters.isEmpty {
                let query = Span(min(request.path.end + 1, request.target.end), request.target.end).of(bytes)
                if !match.parameters.allSatisfy({ Self.hasParameter($0, query) }) { continue }
            }
            return (match.rule, prefix)
        }
        return nil
    }

    /// How much of the path the match covers, `nil` where it does not match.
    static func matches(_ match: RoutingTable.Path, _ path: UnsafeRawBufferPointer) -> Int? {
        switch match {
        case .exact(let text): return isEqual(path, text) ? path.count : nil
        case .prefix(let text):
            let count = text.utf8.count
            if count == 0 { return 0 }
            guard path.count >= count, isEqual(UnsafeRawBufferPointer(rebasing: path[0..<count]), text) else {
                return nil
            }
            return path.count == count || path[count] == UInt8(ascii: "/") ? count : nil
        }
    }

    static func isEqual(_ bytes: UnsafeRawBufferPointer, _ text: String) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { other in
            bytes.count == other.count && bytes.elementsEqual(other)
        } ?? bytes.elementsEqual(text.utf8)
    }

    private static func hasHeader(
        _ header: RoutingTable.Header, _ request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer
    ) -> Bool {
        for field in request.block.fields where field.name.count == header.name.utf8.count {
            if isEqual(field.value.of(bytes), header.value), field.name.of(bytes).lowercasedText() == header.name {
                return true
            }
        }
        return false
    }

    /// Whether the first parameter of this name has this value. Compared as sent, without decoding.
    private static func hasParameter(_ wanted: RoutingTable.Header, _ query: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while start < query.count {
            var end = start
            while end < query.count, query[end] != UInt8(ascii: "&") { end += 1 }
            var equals = start
            while equals < end, query[equals] != UInt8(ascii: "=") { equals += 1 }
            if isEqual(UnsafeRawBufferPointer(rebasing: query[start..<equals]), wanted.name) {
                return isEqual(UnsafeRawBufferPointer(rebasing: query[min(equals + 1, end)..<end]), wanted.value)
            }
            start = end + 1
        }
        return false
    }
}
