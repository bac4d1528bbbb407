internal import Documents

/// Who somebody is to a registry.
package struct RegistryLogin: Sendable, Hashable {
    package var username: String
    package var password: String

    package init(username: String, password: String) {
        self.username = username
        self.password = password
    }

    /// The value of `X-Registry-Auth`: base64 of JSON, in the alphabet for addresses, with padding.
    func header(registry: String) -> String {
        let json: JSON = [
            "username": .string(username), "password": .string(password), "serveraddress": .string(registry),
        ]
        return String(
            Base64.encode(Array(json.text().utf8)).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }
}

extension RegistryLogin: CustomStringConvertible, CustomReflectable {
    /// Nothing of it belongs in a log.
    package var description: String { "RegistryLogin" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The credentials of a pod's `imagePullSecrets`, and which of them are for an image: by Kubernetes' rules, which are
/// those of Docker's configuration file and globs in the parts of a host.
package struct RegistryCredentials: Sendable {
    private struct Entry: Sendable {
        /// Host and port, split: globs stand for one part each.
        let parts: [Substring]
        let port: Substring
        let path: Substring
        let key: String
        let login: RegistryLogin
    }

    /// In descending order of their keys, so that a longer path comes before a shorter one and a name before a glob.
    private var entries: [Entry] = []

    package init() {}

    /// The member of a Secret's `data` that holds credentials, by the Secret's type; `nil` where the type is another.
    package static func dataKey(secretType: String) -> String? {
        switch secretType {
        case "kubernetes.io/dockerconfigjson": ".dockerconfigjson"
        case "kubernetes.io/dockercfg": ".dockercfg"
        default: nil
        }
    }

    /// Adds what a Secret holds: `data` are the bytes of its member `dataKey`. `name` is for the error, which says where
    /// the Secret is wrong and repeats nothing of it.
    package mutating func add(secret name: String, type: String, data: [UInt8]) throws(ImageError) {
        guard let key = Self.dataKey(secretType: type) else {
            throw ImageError(
                .credentials,
                """
                Secret "\(name)": expected the type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg, found \
                "\(type)"
                """)
        }
        let refusal = { (why: String) in ImageError(.credentials, "Secret \"\(name)\": \(key): \(why)") }
        let json: JSON
        do throws(JSONParseError) {
            json = try JSONParser.parse(data, maximumBytes: ImageLimits.secretBytes)
        } catch {
            // What the parser found there may be a part of a password.
            throw refusal("expected JSON, found something else at line \(error.line), column \(error.column)")
        }
        let isWrapped = key == ".dockerconfigjson"
        // A configuration file may be there for other things than logins.
        let registries = isWrapped && json.objectValue != nil ? json["auths"] ?? [:] : json
        guard let members = registries.objectValue?.members else {
            throw refusal("expected an object\(isWrapped ? " with an object \"auths\"" : "")")
        }
        for (number, member) in members.enumerated() {
            guard let login = Self.login(member.value) else {
                throw refusal(
                    """
                    registry \(number + 1) of \(members.count): expected "username" and "password", or "auth" with \
                    base64 of both joined by a colon
                    """)
            }
            insert(member.key, login)
        }
    }

    /// The logins to try for an image, the most specific first; empty where none is for it.
    package func logins(for reference: ImageReference) -> [RegistryLogin] {
        let (parts, port) = Self.splitHost(reference.domain[...])
        let path = "/" + reference.path
        let matching = entries.filter { entry in
            entry.port == port && entry.parts.count == parts.count && path.hasPrefix(entry.path)
                && zip(entry.parts, parts).allSatisfy { Self.matches($0.utf8, $1.utf8) }
        }
        if !matching.isEmpty || reference.domain != "docker.io" { return matching.map(\.login) }
        return entries.filter { $0.key == "index.docker.io" }.map(\.login)
    }

    private mutating func insert(_ location: String, _ login: RegistryLogin) {
        var rest = location[...]
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        let host = rest.prefix { $0 != "/" }
        var path = rest[host.endIndex...]
        if path.hasPrefix("/v1/") || path.hasPrefix("/v2/") { path = path.dropFirst(3) }
        if path == "/" { path = "" }
        let (parts, port) = Self.splitHost(host)
        let entry = Entry(parts: parts, port: port, path: path, key: String(host + path), login: login)
        let place = entries.firstIndex { $0.key.precedesBytes(of: entry.key) } ?? entries.endIndex
        entries.insert(entry, at: place)
    }

    private static func login(_ entry: JSON) -> RegistryLogin? {
        guard entry.objectValue != nil else { return nil }
        guard let auth = entry["auth"]?.stringValue, !auth.isEmpty else {
            return RegistryLogin(
                username: entry["username"]?.stringValue ?? "", password: entry["password"]?.stringValue ?? "")
        }
        let padding = String(repeating: "=", count: (4 - auth.utf8.count % 4) % 4)
        guard let bytes = Base64.decode(auth) ?? Base64.decode(auth + padding),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            let username = String(validating: bytes[..<colon], as: UTF8.self),
            let password = String(validating: bytes[(colon + 1)...], as: UTF8.self)
        else { return nil }
        return RegistryLogin(username: username, password: password)
    }

    private static func splitHost(_ host: Substring) -> (parts: [Substring], port: Substring) {
        var (name, port) = (host, ""[...])
        if let colon = host.lastIndex(of: ":"), host[..<colon].hasSuffix("]") || !host[..<colon].contains(":") {
            (name, port) = (host[..<colon], host[host.index(after: colon)...])
        }
        return (name.split(separator: ".", omittingEmptySubsequences: false), port)
    }

    /// Whether a part of a host is of the form of `glob`, in which `*` stands for any bytes and `?` for one.
    private static func matches(_ glob: Substring.UTF8View, _ text: Substring.UTF8View) -> Bool {
        var (g, t) = (glob.startIndex, text.startIndex)
        var retry: (glob: Substring.Index, text: Substring.Index)?
        while t < text.endIndex {
            if g < glob.endIndex, glob[g] == UInt8(ascii: "*") {
                retry = (glob.index(after: g), t)
                g = glob.index(after: g)
            } else if g < glob.endIndex, glob[g] == UInt8(ascii: "?") || glob[g] == text[t] {
                (g, t) = (glob.index(after: g), text.index(after: t))
            } else if let (afterStar, from) = retry {
                let next = text.index(after: from)
                retry = (afterStar, next)
                (g, t) = (afterStar, next)
            } else {
                return false
            }
        }
        return glob[g...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
