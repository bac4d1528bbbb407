/// What the pods of a namespace, or one pod, may reach beyond their own namespace: everything, or what a list allows
/// (air-gapped). Said by `espalier.dev/egress: Denied`, a label or annotation, and by the annotation
/// `espalier.dev/egress-allow`, entries with commas between them:
///
///     10.0.0.0/8, 203.0.113.7:443, 203.0.113.8:53/UDP, [2001:db8::]/32, [2001:db8::1]:443, api.example.org:443, *.example.org
package struct EgressRule: Sendable, Hashable {
    /// One entry of the list. Without a port: all of them.
    package struct Allowance: Sendable, Hashable {
        package enum Destination: Sendable, Hashable {
            case block(AddressBlock)
            /// A name in lower case without its last dot, or `*.` and one, which stands for all names below it.
            case name(String)
        }
        package var destination: Destination
        package var port: Int?
        package var transport: Transport
    }

    package static let key = "espalier.dev/egress"
    package static let listKey = "espalier.dev/egress-allow"

    package var isDenied: Bool
    /// What is allowed all the same. An entry that cannot be read allows nothing.
    package var allowances: [Allowance]

    package init(labels: [String: String], annotations: [String: String]) {
        isDenied = [labels[Self.key], annotations[Self.key]].contains("Denied")
        allowances =
            isDenied
            ? (annotations[Self.listKey] ?? "").split { $0 == "," || $0 == " " || $0 == "\n" }
                .compactMap { Allowance(String($0)) } : []
    }

    /// The names that may be asked for; `nil`: every name.
    package var names: [String]? {
        guard isDenied else { return nil }
        return allowances.compactMap { if case .name(let name) = $0.destination { name } else { nil } }
    }

    /// Whether a name, in lower case without its last dot, is one of `pattern`.
    package static func matches(_ name: String, _ pattern: String) -> Bool {
        pattern.hasPrefix("*.") ? name.hasSuffix(pattern.dropFirst()) : name == pattern
    }
}

extension EgressRule.Allowance {
    package init?(_ text: String) {
        var rest = Substring(text)
        transport = .tcp
        var hasTransport = false
        for known in [Transport.tcp, .udp, .sctp] where rest.hasSuffix("/" + known.rawValue.uppercased()) {
            transport = known
            hasTransport = true
            rest = rest.dropLast(known.rawValue.utf8.count + 1)
        }
        var host = rest
        if rest.first == "[", let end = rest.firstIndex(of: "]") {
            host = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            if rest.first == "/" {
                let prefix = rest.prefix { $0 != ":" }
                host += prefix
                rest = rest.dropFirst(prefix.count)
            }
        } else if rest.filter({ $0 == ":" }).count == 1, let colon = rest.firstIndex(of: ":") {
            host = rest[..<colon]
            rest = rest[colon...]
        } else {
            rest = ""
        }
        if rest.isEmpty {
            guard !hasTransport else { return nil }
        } else {
            guard rest.first == ":", rest.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(rest.dropFirst()), (1...65535).contains(number)
            else { return nil }
            port = number
        }
        if let block = AddressBlock(String(host)) {
            destination = .block(block)
        } else if let name = Self.name(host) {
            destination = .name(name)
        } else {
            return nil
        }
    }

    private static func name(_ text: Substring) -> String? {
        let lowered = text.lowercased()
        let name = lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered
        let labels = (name.hasPrefix("*.") ? name.dropFirst(2) : name[...])
            .split(separator: ".", omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy {
                    (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
                        || $0 == UInt8(ascii: "_")
                }
        }
        // All digits would be an address that could not be read.
        return isName && name.utf8.count <= 253 && !(labels.last ?? "").utf8.allSatisfy({ (0x30...0x39).contains($0) })
            ? name : nil
    }
}
