/// The fields in which two documents differ.
package struct FieldComparison {
    package var added = FieldSet()
    package var modified = FieldSet()
    package var removed = FieldSet()

    package var isSame: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }
}

extension MergeType {
    /// What became different on the way from `old` to `new`, both whole documents.
    package func compare(_ old: JSON, _ new: JSON) -> FieldComparison {
        var difference = Difference()
        compare(old, new, into: &difference)
        return FieldComparison(added: difference.added, modified: difference.modified, removed: difference.removed)
    }

    /// A comparison of one value: how the value itself differs, and the fields below that do.
    private struct Difference {
        enum Kind { case added, modified, removed }
        var itself: Kind?
        var added = FieldSet()
        var modified = FieldSet()
        var removed = FieldSet()
    }

    /// Collects the entries of one level; each of the sets is built once, from an array.
    private struct Level {
        var added: [FieldSet.Entry] = []
        var modified: [FieldSet.Entry] = []
        var removed: [FieldSet.Entry] = []

        mutating func append(_ element: PathElement, _ difference: Difference) {
            Self.add(element, difference.itself == .added, difference.added, to: &added)
            Self.add(element, difference.itself == .modified, difference.modified, to: &modified)
            Self.add(element, difference.itself == .removed, difference.removed, to: &removed)
        }

        /// Of the type and not of a value: a second `self` would make each entry cost a copy of all.
        private static func add(
            _ element: PathElement, _ isMember: Bool, _ children: FieldSet, to entries: inout [FieldSet.Entry]
        ) {
            if isMember || !children.isEmpty {
                entries.append(FieldSet.Entry(element, isMember: isMember, children: children))
            }
        }

        func store(in difference: inout Difference) {
            difference.added = FieldSet(added)
            difference.modified = FieldSet(modified)
            difference.removed = FieldSet(removed)
        }
    }

    private func compare(_ old: JSON?, _ new: JSON?, into difference: inout Difference) {
        let oldShape = old.flatMap(shape)
        let newShape = new.flatMap(shape)
        if old == nil { difference.itself = .added } else if new == nil { difference.itself = .removed }
        let shape = newShape ?? oldShape
        let isLeaf =
            shape == nil || oldShape != nil && newShape != nil && oldShape != newShape
            || shape?.isAtomic == true || isVoid(old) && isVoid(new)
        if isLeaf {
            if let old, let new, old != new { difference.itself = .modified }
            return
        }
        var level = Level()
        if shape == .map {
            compareMembers(old?.objectValue, new?.objectValue, into: &level)
        } else if let shape {
            compareItems(old?.arrayValue ?? [], new?.arrayValue ?? [], shape, into: &level)
        }
        level.store(in: &difference)
    }

    /// Missing, null or empty: what has no fields.
    private func isVoid(_ value: JSON?) -> Bool {
        switch value {
        case nil, .null?: true
        case .object(let object)?: object.isEmpty
        case .array(let items)?: items.isEmpty
        default: false
        }
    }

    private func compareMembers(_ old: JSONObject?, _ new: JSONObject?, into level: inout Level) {
        for member in old?.members ?? [] {
            var difference = Difference()
            memberType(member.key).compare(member.value, new?[member.key], into: &difference)
            level.append(.field(member.key), difference)
        }
        for member in new?.members ?? [] where old?.contains(member.key) != true {
            var difference = Difference()
            memberType(member.key).compare(nil, member.value, into: &difference)
            level.append(.field(member.key), difference)
        }
    }

    private func compareItems(_ old: [JSON], _ new: [JSON], _ shape: Shape, into level: inout Level) {
        let (oldOrder, oldItems) = grouped(old, shape)
        let (newOrder, newItems) = grouped(new, shape)
        let order = oldOrder + newOrder.filter { oldItems[$0] == nil }
        for pathElement in order {
            let before = oldItems[pathElement] ?? []
            let after = newItems[pathElement] ?? []
            var difference = Difference()
            if before.count <= 1 && after.count <= 1 {
                element.compare(before.first, after.first, into: &difference)
            } else if before.count >= 2 && after.count >= 2 {
                if before != after { difference.itself = .modified }
            } else if before.count >= 2 {
                // No longer a duplicate: the mark goes, the element that stays counts as new.
                if let single = after.first { element.compare(nil, single, into: &difference) }
                level.append(pathElement, difference)
                difference = Difference(itself: .removed)
            } else {
                if let single = before.first { element.compare(single, nil, into: &difference) }
                level.append(pathElement, difference)
                difference = Difference(itself: .added)
            }
            level.append(pathElement, difference)
        }
    }

    private func grouped(
        _ items: [JSON], _ shape: Shape
    ) -> (order: [PathElement], items: [PathElement: [JSON]]) {
        var order: [PathElement] = []
        var groups: [PathElement: [JSON]] = [:]
        for (element, value) in pathElements(of: items, in: shape) {
            if groups[element] == nil { order.append(element) }
            groups[element, default: []].append(value)
        }
        return (order, groups)
    }
}
