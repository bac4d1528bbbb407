/// Kubernetes' strategic merge patch, which `kubectl apply`, `edit` and `set` send for built-in kinds: a merge patch in
/// which lists whose elements have a key merge by that key, with the directives `$patch`, `$retainKeys`,
/// `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`. Which lists merge, the schema says.
package enum StrategicMergePatch {
    package static func apply(_ patch: JSON, to target: JSON, schema: Schema) throws(APIError) -> JSON {
        guard let changes = patch.objectValue else {
            throw .badRequest("strategic merge patch: expected an object, found \(patch.typeName)")
        }
        return .object(try merge(changes, into: target.objectValue ?? JSONObject(), schema, isRoot: true))
    }

    /// How the lists of `metadata` merge in every kind; schemas rarely say it.
    private static let metadataSchema = Schema([
        "type": "object",
        "properties": [
            "finalizers": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "string"]],
            "ownerReferences": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "items": ["type": "object"],
            ],
        ],
    ])

    private static let orderPrefix = "$setElementOrder/"
    private static let deletePrefix = "$deleteFromPrimitiveList/"

    private static func merge(
        _ patch: JSONObject, into original: JSONObject, _ schema: Schema?, isRoot: Bool = false
    ) throws(APIError) -> JSONObject {
        if let directive = patch["$patch"] {
            switch directive {
            case "replace": return withoutDirectives(patch)
            case "delete": return JSONObject()
            case "merge": break
            default:
                throw .badRequest(
                    "strategic merge patch: expected $patch to be merge, replace or delete, found \(directive.text())")
            }
        }
        var result = original
        try retainKeys(patch, in: &result)
        var gone: [String] = []
        for member in patch.members where member.key.utf8.first != UInt8(ascii: "$") {
            let field = isRoot && member.key == "metadata" ? metadataSchema : child(of: schema, member.key)
            switch member.value {
            case .null: gone.append(member.key)
            case .object(let changes):
                let old = original[member.key]?.objectValue ?? JSONObject()
                result[member.key] = .object(try merge(changes, into: old, field))
            case .array(let elements):
                var old = original[member.key]?.arrayValue ?? []
                if let deletions = patch[deletePrefix + member.key] { remove(deletions, from: &old) }
                var list = ListMerge(name: member.key, schema: field)
                result[member.key] = .array(try list.merge(elements, into: old, order: patch[orderPrefix + member.key]))
            default: result[member.key] = member.value
            }
        }
        result.removeAll(gone)
        try applyListDirectives(patch, to: &result, schema)
        return result
    }

    /// Directives about lists that the patch does not name otherwise.
    private static func applyListDirectives(
        _ patch: JSONObject, to result: inout JSONObject, _ schema: Schema?
    ) throws(APIError) {
        for member in patch.members {
            let name: String
            if member.key.hasPrefix(deletePrefix) {
                name = String(member.key.dropFirst(deletePrefix.count))
            } else if member.key.hasPrefix(orderPrefix) {
                name = String(member.key.dropFirst(orderPrefix.count))
            } else {
                continue
            }
            guard !patch.contains(name), var elements = result[name]?.arrayValue else { continue }
            if member.key.hasPrefix(deletePrefix) {
                remove(member.value, from: &elements)
            } else {
                var list = ListMerge(name: name, schema: child(of: schema, name))
                elements = try list.merge([], into: elements, order: member.value)
            }
            result[name] = .array(elements)
        }
    }

    private static func retainKeys(_ patch: JSONObject, in result: inout JSONObject) throws(APIError) {
        guard let directive = patch["$retainKeys"] else { return }
        guard let keys = directive.arrayValue else {
            throw .badRequest(
                "strategic merge patch: expected $retainKeys to be a list of names, found \(directive.typeName)")
        }
        let kept = Set(keys)
        result.filter { kept.contains(.string($0.key)) }
    }

    private static func remove(_ deletions: JSON, from elements: inout [JSON]) {
        let gone = Set(deletions.arrayValue ?? [])
        elements.removeAll(where: gone.contains)
    }

    static func child(of schema: Schema?, _ name: String) -> Schema? {
        schema?.properties[name] ?? schema?.additionalProperties
    }

    static func withoutDirectives(_ object: JSONObject) -> JSONObject {
        var result = object
        result.filter { $0.key.utf8.first != UInt8(ascii: "$") }
        return result
    }

    /// As `merge(into:)` for an element of a list.
    static func mergeElement(_ patch: JSONObject, into original: JSONObject, _ schema: Schema?) throws(APIError)
        -> JSONObject
    {
        try merge(patch, into: original, schema)
    }
}

/// Merges the elements of one list. Lives for that one merge.
private struct ListMerge {
    let name: String
    /// `nil` where the schema does not know the list: it is replaced then.
    let schema: Schema?

    init(name: String, schema: Schema?) {
        self.name = name
        self.schema = schema
    }

    mutating func merge(_ patch: [JSON], into original: [JSON], order: JSON?) throws(APIError) -> [JSON] {
        if let key = mergeKeys.first {
            let merged = try mergeByKey(patch, into: original, key)
            return arranged(merged, original, order?.arrayValue ?? patch) { $0[key] ?? .null }
        }
        switch schema?.listType ?? .atomic {
        case .atomic, .map: return order != nil && patch.isEmpty ? original : patch.map(Self.plain)
        case .set:
            var known = Set(original)
            let merged = original + patch.filter { known.insert($0).inserted }
            return arranged(merged, original, order?.arrayValue ?? patch) { $0 }
        }
    }

    /// The members by which elements are told apart; empty for lists that are no maps.
    private var mergeKeys: [String] {
        if let key = schema?.patchMergeKey { return [key] }
        return schema?.listType == .map ? schema?.listMapKeys ?? [] : []
    }

    private func mergeByKey(_ patch: [JSON], into original: [JSON], _ key: String) throws(APIError) -> [JSON] {
        if patch.contains(where: { $0["$patch"] == "replace" }) {
            return patch.filter { $0["$patch"] == nil }.map(Self.plain)
        }
        var slots: [JSON?] = original
        var places: [JSON: [Int]] = [:]
        for (place, element) in original.enumerated() { places[element[key] ?? .null, default: []].append(place) }
        for element in patch {
            guard let changes = element.objectValue, let value = changes[key] else {
                throw .badRequest(
                    "strategic merge patch: \(name): expected an object with the merge key \"\(key)\", "
                        + "found \(element.text().prefix(200))"
                )
            }
            let candidates = (places[value] ?? []).filter { slots[$0].map { isSame($0, changes) } ?? false }
            if changes["$patch"] == "delete" {
                for place in candidates { slots[place] = nil }
            } else if let place = best(candidates, slots), let old = slots[place]?.objectValue {
                slots[place] = .object(try StrategicMergePatch.mergeElement(changes, into: old, schema?.items))
            } else {
                places[value, default: []].append(slots.count)
                slots.append(.object(try StrategicMergePatch.mergeElement(changes, into: JSONObject(), schema?.items)))
            }
        }
        return slots.compactMap { $0 }
    }

    /// Whether `element` is the one a patch means, by those of the list's keys that the patch names. Patches name the
    /// first key always, the others (a port's protocol) only where they change.
    private func isSame(_ element: JSON, _ patch: JSONObject) -> Bool {
        mergeKeys.allSatisfy { key in
            guard let wanted = patch[key] else { return true }
            return (element[key] ?? defaultValue(of: key)) == wanted
        }
    }

    /// Of several elements a patch may mean, the one that has the defaults of the other keys.
    private func best(_ candidates: [Int], _ slots: [JSON?]) -> Int? {
        if candidates.count < 2 { return candidates.first }
        let keys = mergeKeys.dropFirst()
        return candidates.first { place in
            keys.allSatisfy { slots[place]?[$0] == nil || slots[place]?[$0] == defaultValue(of: $0) }
        } ?? candidates.first
    }

    private func defaultValue(of key: String) -> JSON? { schema?.items?.properties[key]?.defaultValue }

    /// Orders `merged` by `wanted`, the list of `$setElementOrder` or else the patch; elements it does not name keep
    /// their place relative to the elements that were around them on the server, and come after new ones.
    private func arranged(_ merged: [JSON], _ original: [JSON], _ wanted: [JSON], _ identity: (JSON) -> JSON) -> [JSON]
    {
        var rank: [JSON: Int] = [:]
        for (position, element) in wanted.enumerated() where rank[identity(element)] == nil {
            rank[identity(element)] = position
        }
        var serverPlace: [JSON: Int] = [:]
        for (position, element) in original.enumerated() where serverPlace[identity(element)] == nil {
            serverPlace[identity(element)] = position
        }
        let named = merged.enumerated().filter { rank[identity($0.element)] != nil }
            .sorted { (rank[identity($0.element)] ?? 0, $0.offset) < (rank[identity($1.element)] ?? 0, $1.offset) }
            .map(\.element)
        let others = merged.filter { rank[identity($0)] == nil }
        var result: [JSON] = []
        var (left, right) = (0, 0)
        while left < named.count || right < others.count {
            let takesLeft: Bool
            if left == named.count || right == others.count {
                takesLeft = right == others.count
            } else if let a = serverPlace[identity(named[left])], let b = serverPlace[identity(others[right])] {
                takesLeft = a < b
            } else {
                takesLeft = true
            }
            result.append(takesLeft ? named[left] : others[right])
            if takesLeft { left += 1 } else { right += 1 }
        }
        return result
    }

    private static func plain(_ element: JSON) -> JSON {
        element.objectValue.map { .object(StrategicMergePatch.withoutDirectives($0)) } ?? element
    }
}
