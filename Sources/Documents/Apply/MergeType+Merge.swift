extension MergeType {
    /// `config` laid over `live`: what `config` says holds, what it does not mention stays.
    package func merge(_ live: JSON, _ config: JSON) -> JSON {
        let shape = shape(of: config)
        switch (shape, live, config) {
        case (.map, .object(let liveObject), .object(let configObject)):
            if configObject.isEmpty { return liveObject.isEmpty ? config : live }
            return .object(mergeMembers(liveObject, configObject))
        case (.set, .array(let liveItems), .array(let configItems)),
            (.mapList, .array(let liveItems), .array(let configItems)):
            guard let shape, !liveItems.isEmpty || !configItems.isEmpty else { return config }
            return .array(mergeItems(liveItems, configItems, shape))
        default:
            return config
        }
    }

    private func mergeMembers(_ live: JSONObject, _ config: JSONObject) -> JSONObject {
        var result = live
        for member in config.members {
            if result.contains(member.key) {
                let type = memberType(member.key)
                result.update(member.key) { $0 = type.merge($0, member.value) }
            } else {
                result.append(member.key, member.value)
            }
        }
        return result
    }

    /// Merges lists whose elements have names. The configuration's elements come in its order; the others keep their
    /// place among them as well as that order allows.
    private func mergeItems(_ live: [JSON], _ config: [JSON], _ shape: Shape) -> [JSON] {
        let left = pathElements(of: live, in: shape)
        let right = pathElements(of: config, in: shape)
        // Of an element that occurs twice in the live list neither is merged: `config` replaces both.
        var inLive: [PathElement: JSON?] = [:]
        for (element, value) in left {
            let isDuplicate = inLive[element] != nil
            inLive.updateValue(isDuplicate ? nil : value, forKey: element)
        }
        let inConfig = Set(right.map(\.element))
        var shared = right.map(\.element).filter { inLive[$0] != nil }[...]
        var merged: Set<PathElement> = []
        var result: [JSON] = []
        result.reserveCapacity(max(left.count, right.count))
        var (l, r) = (0, 0)
        while l < left.count || r < right.count {
            if l < left.count, !inConfig.contains(left[l].element) {
                // A live element the configuration does not mention.
                result.append(left[l].value)
                l += 1
                continue
            }
            if l < left.count {
                let element = left[l].element
                let isNext = r < right.count && right[r].element == element
                if !isNext, r < right.count, let next = shared.first, next != element {
                    // A shared element whose turn in the configuration's order was, or comes later.
                    l += 1
                    continue
                }
                if isNext || merged.contains(element) { l += 1 }
            }
            guard r < right.count else { continue }
            let (element, value) = right[r]
            merged.insert(element)
            if let found = inLive[element], let liveItem = found {
                result.append(self.element.merge(liveItem, value))
            } else {
                result.append(value)
            }
            r += 1
            if shared.first == element { shared = shared.dropFirst() }
        }
        return result
    }

    /// `value` without the fields in `set`. What loses its last field goes altogether; `nil` means that all of it did.
    package func remove(_ set: FieldSet, from value: JSON) -> JSON? {
        if set.isEmpty { return value }
        switch (shape(of: value), value) {
        case (.map, .object(let object)): return removeMembers(set, from: object)
        case (let shape?, .array(let items)) where !shape.isAtomic:
            if items.isEmpty { return value }
            var kept: [JSON] = []
            for item in items {
                guard let element = try? pathElement(of: item, in: shape).get(), let entry = set[element] else {
                    kept.append(item)
                    continue
                }
                if !entry.isMember { self.element.remove(entry.children, from: item).map { kept.append($0) } }
            }
            return kept.isEmpty ? nil : .array(kept)
        default: return value
        }
    }

    private func removeMembers(_ set: FieldSet, from object: JSONObject) -> JSON? {
        if object.isEmpty { return .object(object) }
        var result = object
        for entry in set.entries {
            guard let name = entry.element.fieldName, let member = result[name] else { continue }
            result[name] = entry.isMember ? nil : memberType(name).remove(entry.children, from: member)
        }
        return result.isEmpty ? nil : .object(result)
    }
}
