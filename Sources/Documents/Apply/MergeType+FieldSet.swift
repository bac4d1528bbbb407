extension MergeType {
    /// The fields that a configuration sets: what its manager owns once it is applied.
    package func fieldSet(of value: JSON) -> FieldSet { ownership(of: value).below }

    /// Whether the value's own path is in the set, and what is below it.
    private func ownership(of value: JSON) -> (isSelf: Bool, below: FieldSet) {
        guard let shape = shape(of: value) else { return (true, FieldSet()) }
        switch (shape, value) {
        case (.map, .object(let object)):
            if object.isEmpty { return (true, FieldSet()) }
            return (
                false,
                FieldSet(
                    object.members.map { member in
                        let (type, isNamed) = self.member(member.key) ?? (.deduced, false)
                        let (isSelf, below) = type.ownership(of: member.value)
                        return FieldSet.Entry(.field(member.key), isMember: isSelf || !isNamed, children: below)
                    })
            )
        case (.set, .array(let items)), (.mapList, .array(let items)):
            return (false, FieldSet(itemEntries(pathElements(of: items, in: shape))))
        default: return (true, FieldSet())
        }
    }

    /// Of an element that occurs twice only the element itself is owned.
    private func itemEntries(_ items: [(element: PathElement, value: JSON)]) -> [FieldSet.Entry] {
        var position: [PathElement: Int] = [:]
        var entries: [FieldSet.Entry] = []
        for (element, value) in items {
            if let found = position[element] {
                entries[found].children = FieldSet()
            } else {
                position[element] = entries.count
                entries.append(FieldSet.Entry(element, children: self.element.ownership(of: value).below))
            }
        }
        return entries
    }

    /// The set with every member that the schema names put in where anything below it is in. So that pruning takes an
    /// object away together with the last of its fields.
    package func withNamedMembers(_ set: FieldSet) -> FieldSet {
        FieldSet(
            set.entries.map { entry in
                guard !entry.children.isEmpty else { return entry }
                guard let name = entry.element.fieldName else {
                    return FieldSet.Entry(
                        entry.element, isMember: entry.isMember, children: element.withNamedMembers(entry.children))
                }
                let (type, isNamed) = member(name) ?? (.deduced, false)
                return FieldSet.Entry(
                    entry.element, isMember: entry.isMember || isNamed, children: type.withNamedMembers(entry.children))
            })
    }

    /// The set as it would be had it been recorded with this schema: who owned a part of what is now replaced as a
    /// whole, owns the whole.
    package func reconciled(_ set: FieldSet) -> FieldSet {
        var isChanged = false
        let entries = set.entries.map { entry -> FieldSet.Entry in
            guard !entry.children.isEmpty else { return entry }
            let type = entry.element.fieldName.map(memberType) ?? element
            if type.replacesWhole {
                isChanged = true
                return FieldSet.Entry(entry.element)
            }
            let children = type.reconciled(entry.children)
            if children != entry.children { isChanged = true }
            return FieldSet.Entry(entry.element, isMember: entry.isMember, children: children)
        }
        return isChanged ? FieldSet(entries) : set
    }

    /// Whether objects or lists of this type have no fields of their own.
    private var replacesWhole: Bool {
        guard let schema else { return false }
        switch schema.type {
        case .object: return schema.isAtomicMap
        case .array: return schema.listType == .atomic
        default: return false
        }
    }
}
