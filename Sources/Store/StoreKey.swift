package import Documents
internal import Glibc

/// A key of the store: `group NUL resource NUL namespace NUL name`, compared as bytes. Fixed from the first record on.
package struct StoreKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init(_ key: ObjectKey) {
        var bytes = StoreKey.prefix(key.resource, namespace: key.namespace)
        bytes.append(contentsOf: key.name.utf8)
        self.bytes = bytes
    }

    /// A key read back from its bytes. The store refuses to write one that is not well formed.
    package init(bytes: [UInt8]) { self.bytes = bytes }

    /// Four parts, each valid UTF-8, none with a NUL inside.
    package var isWellFormed: Bool {
        bytes.count <= StoreLimits.keyBytes && bytes.count(where: { $0 == 0 }) == 3
            && (try? UTF8Span(validating: bytes.span)) != nil
    }

    package var objectKey: ObjectKey {
        let parts = bytes.split(separator: 0, maxSplits: 3, omittingEmptySubsequences: false)
        func text(_ index: Int) -> String { index < parts.count ? String(decoding: parts[index], as: UTF8.self) : "" }
        return ObjectKey(GroupResource(group: text(0), resource: text(1)), namespace: text(2), name: text(3))
    }

    package var description: String { objectKey.description }

    /// What every key of a resource begins with.
    package static func prefix(_ resource: GroupResource) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(resource.group.utf8.count + resource.resource.utf8.count + 64)
        bytes.append(contentsOf: resource.group.utf8)
        bytes.append(0)
        bytes.append(contentsOf: resource.resource.utf8)
        bytes.append(0)
        return bytes
    }

    /// What every key of a resource in one namespace begins with. The empty namespace is that of cluster-scoped
    /// documents, not of all namespaces.
    package static func prefix(_ resource: GroupResource, namespace: String) -> [UInt8] {
        var bytes = prefix(resource)
        bytes.append(contentsOf: namespace.utf8)
        bytes.append(0)
        return bytes
    }

    package static func < (left: StoreKey, right: StoreKey) -> Bool {
        left.bytes.withUnsafeBytes { a in right.bytes.withUnsafeBytes { b in order(a, b) < 0 } }
    }

    package static func == (left: StoreKey, right: StoreKey) -> Bool { left.bytes == right.bytes }

    /// Negative, zero or positive as `left` sorts before, with or after `right`.
    static func order(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let shared = min(left.count, right.count)
        if shared > 0, let a = left.baseAddress, let b = right.baseAddress {
            let difference = memcmp(a, b, shared)
            if difference != 0 { return Int(difference) }
        }
        return left.count - right.count
    }

    func hasPrefix(_ prefix: [UInt8]) -> Bool {
        guard bytes.count >= prefix.count else { return false }
        return bytes.withUnsafeBytes { a in
            prefix.withUnsafeBytes { b in
                guard let a = a.baseAddress, let b = b.baseAddress else { return true }
                return memcmp(a, b, prefix.count) == 0
            }
        }
    }
}
