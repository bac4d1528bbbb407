package import Documents

/// The text of a pod's `/etc/resolv.conf`, from its `dnsPolicy` and `dnsConfig`.
package enum PodResolverConfiguration {
    /// `resolver` is where pods ask; `host` the text of the host's own file. A pod that wants the host's resolvers asks
    /// them through ours: they may be on the host's loopback, and walls stand before them.
    package static func text(_ spec: JSON, namespace: String, resolver: IPv4Address, host: String) -> String {
        var servers: [String] = []
        var searches: [String] = []
        var options: [(name: String, value: String?)] = []
        let hostSearches = words(host, "search").suffix(1).flatMap { $0 }
        switch spec["dnsPolicy"]?.stringValue ?? "ClusterFirst" {
        case "None": break
        case "Default":
            servers = [resolver.description]
            searches = hostSearches
            options = words(host, "options").flatMap { $0 }.map(option)
        default:
            servers = [resolver.description]
            searches = ["\(namespace).svc.cluster.local", "svc.cluster.local", "cluster.local"] + hostSearches
            options = [("ndots", "5")]
        }
        let own = spec["dnsConfig"]
        servers += (own?["nameservers"]?.arrayValue ?? []).compactMap(\.stringValue).filter { AddressBlock($0) != nil }
        searches += (own?["searches"]?.arrayValue ?? []).compactMap(\.stringValue)
        for entry in own?["options"]?.arrayValue ?? [] {
            guard let name = entry["name"]?.stringValue else { continue }
            options.removeAll { $0.name == name }
            options.append((name, entry["value"]?.stringValue))
        }
        var lines = distinct(servers).prefix(3).map { "nameserver \($0)" }
        let names = distinct(searches).filter(isWord).prefix(32)
        if !names.isEmpty { lines.append("search \(names.joined(separator: " "))") }
        let texts = options.map { option in option.value.map { "\(option.name):\($0)" } ?? option.name }.filter(isWord)
        if !texts.isEmpty { lines.append("options \(texts.joined(separator: " "))") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The addresses of the host's own resolvers.
    package static func servers(host: String) -> [String] {
        words(host, "nameserver").compactMap(\.first).filter { AddressBlock(String($0.prefix { $0 != "%" })) != nil }
    }

    private static func words(_ text: String, _ key: String) -> [[String]] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            return words.first.map(String.init) == key ? words.dropFirst().map(String.init) : nil
        }
    }

    private static func option(_ text: String) -> (name: String, value: String?) {
        let parts = text.split(separator: ":", maxSplits: 1)
        return (parts.first.map(String.init) ?? "", parts.count > 1 ? String(parts[1]) : nil)
    }

    private static func distinct(_ words: [String]) -> [String] {
        var result: [String] = []
        for word in words where !result.contains(word) { result.append(word) }
        return result
    }

    /// What stays one word on its line.
    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
