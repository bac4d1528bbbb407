/// A set of field paths, as a tree: what a field manager owns. A path may be in the set while none of the paths below
/// it is, and the reverse.
///
/// Invariant: the entries of every level are sorted and unique, and none is empty (neither itself in the set nor with
/// anything below). Operations are merges of sorted arrays, linear in the size of both sets.
package struct FieldSet: Sendable, Equatable {
    /// One step, and what is in the set at and below it.
    package struct Entry: Sendable, Equatable {
        package let element: PathElement
        /// Whether the path that ends here is in the set (`.` in FieldsV1).
        package var isMember: Bool
        package var children: FieldSet

        package init(_ element: PathElement, isMember: Bool = true, children: FieldSet = FieldSet()) {
            self.element = element
            self.isMember = isMember
            self.children = children
        }

        var isVoid: Bool { !isMember && children.isEmpty }
    }

    package private(set) var entries: [Entry]

    package init() { entries = [] }

    /// `entries` in any order, each element once; void ones are dropped.
    package init(_ entries: [Entry]) {
        self.entries = entries.filter { !$0.isVoid }
        if !Self.isSorted(self.entries) { self.entries.sort { $0.element < $1.element } }
    }

    /// The set of these paths.
    package init(paths: [FieldPath]) {
        self.init()
        for path in paths { insert(path[...]) }
    }

    package var isEmpty: Bool { entries.isEmpty }

    package subscript(element: PathElement) -> Entry? { position(of: element).map { entries[$0] } }

    package func contains(_ path: FieldPath) -> Bool {
        guard let last = path.last else { return false }
        var level = self
        for element in path.dropLast() {
            guard let entry = level[element] else { return false }
            level = entry.children
        }
        return level[last]?.isMember ?? false
    }

    package mutating func insert(_ path: ArraySlice<PathElement>) {
        guard let first = path.first else { return }
        let found = lowerBound(of: first)
        if found == entries.count || entries[found].element != first {
            entries.insert(Entry(first, isMember: false), at: found)
        }
        if path.count == 1 { entries[found].isMember = true } else { entries[found].children.insert(path.dropFirst()) }
    }

    /// Everything at and below a first step leaves the set.
    package mutating func removeAll(at element: PathElement) {
        if let found = position(of: element) { entries.remove(at: found) }
    }

    /// Every path, those of one level before those below them, as conflicts are listed.
    package var paths: [FieldPath] {
        var result: [FieldPath] = []
        collect(into: &result, prefix: [])
        return result
    }

    private func collect(into result: inout [FieldPath], prefix: FieldPath) {
        for entry in entries where entry.isMember { result.append(prefix + [entry.element]) }
        for entry in entries where !entry.children.isEmpty {
            entry.children.collect(into: &result, prefix: prefix + [entry.element])
        }
    }

    private static func isSorted(_ entries: [Entry]) -> Bool {
        guard entries.count > 1 else { return true }
        return (1..<entries.count).allSatisfy { entries[$0 - 1].element < entries[$0].element }
    }

    private func lowerBound(of element: PathElement) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].element < element { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func position(of element: PathElement) -> Int? {
        let found = lowerBound(of: element)
        return found < entries.count && entries[found].element == element ? found : nil
    }
}

extension FieldSet {
    package func union(_ other: FieldSet) -> FieldSet {
        if isEmpty { return other }
        if other.isEmpty { return self }
        return merging(other, keepsLeft: true, keepsRight: true) { left, right in
            Entry(
                left.element, isMember: left.isMember || right.isMember, children: left.children.union(right.children))
        }
    }

    /// The paths that are not in `other`. A path is not taken out because one above it is in `other`.
    package func difference(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return merging(other, keepsLeft: true, keepsRight: false) { left, right in
            Entry(
                left.element, isMember: left.isMember && !right.isMember,
                children: left.children.difference(right.children))
        }
    }

    package func intersection(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return FieldSet() }
        return merging(other, keepsLeft: false, keepsRight: false) { left, right in
            Entry(
                left.element, isMember: left.isMember && right.isMember,
                children: left.children.intersection(right.children))
        }
    }

    /// The paths that have no other path of the set below them.
    package var leaves: FieldSet {
        FieldSet(
            entries.map {
                Entry($0.element, isMember: $0.isMember && $0.children.isEmpty, children: $0.children.leaves)
            })
    }

    private func merging(
        _ other: FieldSet, keepsLeft: Bool, keepsRight: Bool, _ combine: (Entry, Entry) -> Entry
    ) -> FieldSet {
        var result: [Entry] = []
        result.reserveCapacity(entries.count)
        var (left, right) = (0, 0)
        while left < entries.count || right < other.entries.count {
            if left < entries.count, right < other.entries.count,
                entries[left].element == other.entries[right].element
            {
                let entry = combine(entries[left], other.entries[right])
                if !entry.isVoid { result.append(entry) }
                left += 1
                right += 1
            } else if right == other.entries.count
                || left < entries.count && entries[left].element < other.entries[right].element
            {
                if keepsLeft { result.append(entries[left]) }
                left += 1
            } else {
                if keepsRight { result.append(other.entries[right]) }
                right += 1
            }
        }
        var merged = FieldSet()
        merged.entries = result
        return merged
    }
}

extension FieldSet {
    /// As `fieldsV1` in `metadata.managedFields`.
    package var fieldsV1: JSON {
        var object = JSONObject()
        for entry in entries {
            var below = entry.children.isEmpty ? JSONObject() : entry.children.fieldsV1.objectValue ?? JSONObject()
            if entry.isMember && !below.isEmpty {
                below = JSONObject([(".", .object(JSONObject()))] + below.members.map { ($0.key, $0.value) })
            }
            object.append(entry.element.text, .object(below))
        }
        return .object(object)
    }

    /// Reads `fieldsV1`; `nil` where it is malformed.
    package init?(fieldsV1 json: JSON) {
        guard let object = json.objectValue else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(object.count)
        for member in object.members where member.key != "." {
            guard let element = PathElement(fieldsV1: member.key), let below = member.value.objectValue,
                let children = FieldSet(fieldsV1: member.value)
            else { return nil }
            entries.append(Entry(element, isMember: below.isEmpty || below.contains("."), children: children))
        }
        self.init(entries)
        // Two spellings of one key field set would be two entries of one element.
        for position in entries.indices.dropFirst()
        where self.entries[position - 1].element == self.entries[position].element {
            return nil
        }
    }
}
