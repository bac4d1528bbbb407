/// A version of semver.org: `1.2.3-alpha.1+build`.
package struct CELSemver: Sendable, Equatable {
    let major: UInt64
    let minor: UInt64
    let patch: UInt64
    /// The parts behind `-`; empty for a release.
    private let prerelease: [Substring]

    /// `nil` where `text` is no version. `normalizes` takes what people write: `v1.2`, `01.02.03`.
    init?(_ text: String, normalizes: Bool = false) {
        guard let text = normalizes ? Self.normalized(text) : text else { return nil }
        let parts = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, !Self.identifiers(parts[1]).allSatisfy(Self.isIdentifier) { return nil }
        let halves = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = halves[0].split(separator: ".", omittingEmptySubsequences: false).map(Self.number)
        guard numbers.count == 3, let major = numbers[0], let minor = numbers[1], let patch = numbers[2] else {
            return nil
        }
        prerelease = halves.count == 2 ? Self.identifiers(halves[1]) : []
        for part in prerelease {
            let isNumber = part.utf8.allSatisfy { (48...57).contains($0) }
            guard Self.isIdentifier(part), !isNumber || Self.number(part) != nil else { return nil }
        }
        (self.major, self.minor, self.patch) = (major, minor, patch)
    }

    private static func identifiers(_ text: Substring) -> [Substring] {
        text.split(separator: ".", omittingEmptySubsequences: false)
    }

    private static func isIdentifier(_ part: Substring) -> Bool {
        !part.isEmpty
            && part.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45
            }
    }

    /// Digits without a zero in front.
    private static func number(_ text: Substring) -> UInt64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }), text == "0" || !text.hasPrefix("0")
        else {
            return nil
        }
        return UInt64(text)
    }

    /// Without `v` and zeros in front, with all three numbers.
    private static func normalized(_ text: String) -> String? {
        let bare = text.hasPrefix("v") ? text.dropFirst() : text[...]
        var parts = bare.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false).map { part in
            guard part.utf8.count > 1 else { return String(part) }
            let trimmed = part.drop { $0 == "0" }
            return trimmed.first?.isNumber == true ? String(trimmed) : "0\(trimmed)"
        }
        if parts.count < 3, parts.last?.contains(where: { $0 == "+" || $0 == "-" }) == true { return nil }
        while parts.count < 3 { parts.append("0") }
        return parts.joined(separator: ".")
    }

    /// Below, at or above zero. A version to come is below its release; builds do not count.
    func order(_ other: CELSemver) -> Int {
        for (a, b) in [(major, other.major), (minor, other.minor), (patch, other.patch)] where a != b {
            return a < b ? -1 : 1
        }
        if prerelease.isEmpty || other.prerelease.isEmpty {
            return prerelease.isEmpty == other.prerelease.isEmpty ? 0 : prerelease.isEmpty ? 1 : -1
        }
        for (a, b) in zip(prerelease, other.prerelease) where a != b {
            switch (UInt64(a), UInt64(b)) {
            case (let x?, let y?): return x < y ? -1 : 1
            case (_?, nil): return -1
            case (nil, _?): return 1
            default: return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
            }
        }
        let (count, others) = (prerelease.count, other.prerelease.count)
        return count < others ? -1 : count == others ? 0 : 1
    }

    package static func == (left: CELSemver, right: CELSemver) -> Bool { left.order(right) == 0 }
}
