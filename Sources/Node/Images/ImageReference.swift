/// The name of an image as a pod says it, in full: `nginx` is `docker.io/library/nginx:latest`. The rules are those of
/// github.com/distribution/reference, which Kubernetes and Docker use.
package struct ImageReference: Sendable, Hashable, CustomStringConvertible {
    /// Host of the registry, with its port where one is given: `docker.io`, `localhost:5000`, `[::1]:5000`.
    package let domain: String
    /// `library/nginx`.
    package let path: String
    /// `latest` where neither a tag nor a digest was given.
    package let tag: String?
    /// `sha256:` and 64 hexadecimal digits, or another algorithm's.
    package let digest: String?
    /// Whether the text named no registry. Podman gives images it builds itself under such names the registry `localhost`.
    package let isDomainImplied: Bool

    /// Without tag and digest: what credentials are looked up by.
    package var name: String { "\(domain)/\(path)" }

    /// The reference in full.
    package var description: String { name + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "") }

    /// As an engine is asked: where there is a digest it alone says which image, as Docker has it.
    package var engineName: String { digest.map { "\(name)@\($0)" } ?? "\(name):\(tag ?? Self.defaultTag)" }

    /// The same image under `localhost`, where its own name says no registry.
    var local: ImageReference? {
        guard isDomainImplied else { return nil }
        let short = path.hasPrefix(Self.officialFolder) ? String(path.dropFirst(Self.officialFolder.count)) : path
        return ImageReference(domain: "localhost", path: short, tag: tag, digest: digest, isDomainImplied: false)
    }

    private static let dockerHub = "docker.io"
    private static let officialFolder = "library/"
    private static let defaultTag = "latest"
    private static let pathBytes = 255
    private static let tagBytes = 128
}

extension ImageReference {
    /// Reads `text`. The error's reason is `InvalidImageName`, its message the one of the kubelet.
    package init(_ text: String) throws(ImageError) {
        do throws(Refusal) {
            self = try Self.parse(text)
        } catch {
            let why = "couldn't parse image reference \"\(text)\": \(error.text)"
            throw ImageError(.invalidName, "Failed to apply default image tag \"\(text)\": \(why)")
        }
    }

    /// A name that an engine gives an image, in full: Docker leaves out the registry where it is its own.
    static func inFull(_ name: String) -> String { (try? parse(name))?.description ?? name }

    private struct Refusal: Error {
        let text: String
        static let format = Refusal(text: "invalid reference format")
    }

    private static func parse(_ text: String) throws(Refusal) -> ImageReference {
        if text.utf8.count == 64, text.utf8.allSatisfy(isLowerHexadecimal) {
            throw Refusal(text: "invalid repository name (\(text)), cannot specify 64-byte hexadecimal strings")
        }
        let (domain, rest, isImplied) = split(text)
        let remote = rest.prefix { $0 != ":" }
        if remote.utf8.contains(where: isUpper) {
            throw Refusal(text: "invalid reference format: repository name (\(remote)) must be lowercase")
        }
        // A tag has neither "@" nor "/", a digest no "@": the first "@" ends the name, and the colon behind the last "/"
        // begins the tag.
        let named = rest.prefix { $0 != "@" }
        let digest = named.endIndex == rest.endIndex ? nil : rest[rest.index(after: named.endIndex)...]
        let tail = named[(named.lastIndex(of: "/").map { named.index(after: $0) } ?? named.startIndex)...]
        let colon = tail.firstIndex(of: ":")
        let tag = colon.map { named[named.index(after: $0)...] }
        let path = named[..<(colon ?? named.endIndex)]
        guard isDomain(domain), isPath(path), tag.map(isTag) ?? true else { throw .format }
        if path.utf8.count > pathBytes {
            throw Refusal(text: "repository name must not be more than \(pathBytes) characters")
        }
        if let digest { try checkDigest(digest) }
        return ImageReference(
            domain: domain, path: String(path),
            tag: tag.map(String.init) ?? (digest == nil ? defaultTag : nil), digest: digest.map(String.init),
            isDomainImplied: isImplied)
    }

    /// The registry and the rest. What stands before the first "/" is a registry only where it looks like a host.
    private static func split(_ text: String) -> (domain: String, rest: String, isImplied: Bool) {
        guard let slash = text.firstIndex(of: "/") else { return (dockerHub, officialFolder + text, true) }
        let first = text[..<slash]
        var (domain, rest) = (String(first), String(text[text.index(after: slash)...]))
        let isHost =
            first == "localhost" || first.contains { $0 == "." || $0 == ":" } || first.utf8.contains(where: isUpper)
        if !isHost { return (dockerHub, text, true) }
        if domain == "index.docker.io" { domain = dockerHub }
        if domain == dockerHub, !rest.contains("/") { rest = officialFolder + rest }
        return (domain, rest, false)
    }

    /// Labels of letters, digits and inner dashes, or an address in brackets; then perhaps a port.
    private static func isDomain(_ text: String) -> Bool {
        let isBracketed = text.hasPrefix("[")
        var host = text[...]
        if let colon = text.lastIndex(of: ":"), !isBracketed || text[..<colon].hasSuffix("]") {
            let port = text[text.index(after: colon)...].utf8
            if port.isEmpty || !port.allSatisfy(isDigit) { return false }
            host = text[..<colon]
        }
        if isBracketed {
            let inner = host.dropFirst().dropLast()
            return host.hasSuffix("]") && !inner.isEmpty
                && inner.utf8.allSatisfy { isHexadecimal($0) || $0 == UInt8(ascii: ":") }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isPath(_ text: Substring) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(isComponent)
    }

    /// Runs of small letters and digits, joined by one of `.`, `_`, `__` and any number of dashes.
    private static func isComponent(_ text: Substring) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, let last = bytes.last, isLowerOrDigit(first), isLowerOrDigit(last) else {
            return false
        }
        return bytes.split(omittingEmptySubsequences: true, whereSeparator: isLowerOrDigit).allSatisfy { joint in
            let joint = String(Substring(joint))
            return joint == "." || joint == "_" || joint == "__" || joint.utf8.allSatisfy { $0 == UInt8(ascii: "-") }
        }
    }

    private static func isTag(_ text: Substring) -> Bool {
        let isWord = { (byte: UInt8) in isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
        guard let first = text.utf8.first, isWord(first), text.utf8.count <= tagBytes else { return false }
        return text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    private static func checkDigest(_ text: Substring) throws(Refusal) {
        guard let colon = text.firstIndex(of: ":") else { throw .format }
        let (algorithm, digits) = (text[..<colon], text[text.index(after: colon)...].utf8)
        let words = algorithm.split(omittingEmptySubsequences: false) { "-_+.".contains($0) }
        let isAlgorithm = words.allSatisfy { word in
            guard let first = word.utf8.first else { return false }
            return isAlphanumeric(first) && !isDigit(first) && word.utf8.allSatisfy(isAlphanumeric)
        }
        guard isAlgorithm, digits.count >= 32, digits.allSatisfy(isHexadecimal) else { throw .format }
        guard let count = ["sha256": 64, "sha384": 96, "sha512": 128][algorithm] else {
            throw Refusal(text: "unsupported digest algorithm")
        }
        if digits.count != count { throw Refusal(text: "invalid checksum digest length") }
        if !digits.allSatisfy(isLowerHexadecimal) { throw Refusal(text: "invalid checksum digest format") }
    }

    private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerOrDigit(byte) || isUpper(byte) }
    private static func isLowerHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isLowerHexadecimal(byte) || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    }
}

/// When a container's image is fetched: `imagePullPolicy`.
package enum PullPolicy: String, Sendable {
    case always = "Always"
    case ifNotPresent = "IfNotPresent"
    case never = "Never"

    /// The policy of a container that gives none: `:latest` moves, so it is always asked for.
    package init(default reference: ImageReference) {
        self = reference.tag == "latest" ? .always : .ifNotPresent
    }
}
