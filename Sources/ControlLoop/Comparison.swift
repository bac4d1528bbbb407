package import Documents

/// Compares what a field manager wants with what a document says, using only the document itself: `metadata.managedFields`
/// tells which fields the manager owns and how each list is merged, so that no schema is needed and the comparison works
/// against every server. Equal means: every wanted field stands there, owned by the manager, and it owns nothing else.
package enum Comparison {
    /// What an apply would change.
    package enum Difference: Sendable, Equatable {
        /// The first field that differs, and how.
        case field(String)
        /// Only inside lists that are owned as a whole, where the server may have filled in defaults. Whoever remembers
        /// having applied the same before need not do it again.
        case insideAtomic(String)
    }

    /// Fields that name the document and are no part of an apply.
    private static let identity = [
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
    ]

    /// The difference between `wanted` and `live`; `nil` where there is none.
    package static func difference(
        wanted: Document, live: Document, owner: FieldOwner, subresource: String = ""
    ) -> Difference? {
        guard let fields = ownedFields(live, owner, subresource) else {
            return .field("not applied by \(owner.name) yet")
        }
        var wanted = wanted.json
        wanted["apiVersion"] = nil
        wanted["kind"] = nil
        if subresource.isEmpty { wanted["status"] = nil } else { wanted = ["status": wanted["status"] ?? [:]] }
        if var metadata = wanted["metadata"]?.objectValue {
            metadata.filter { !identity.contains($0.key) }
            wanted["metadata"] = metadata.isEmpty ? nil : .object(metadata)
        }
        return compare(wanted, live.json, fields, "")
    }

    private static func ownedFields(_ live: Document, _ owner: FieldOwner, _ subresource: String) -> JSON? {
        (live.json["metadata"]?["managedFields"]?.arrayValue ?? []).first {
            $0["manager"]?.stringValue == owner.name && $0["operation"]?.stringValue == "Apply"
                && ($0["subresource"]?.stringValue ?? "") == subresource
        }?["fieldsV1"]
    }

    private static func compare(_ wanted: JSON, _ live: JSON, _ fields: JSON, _ path: String) -> Difference? {
        switch wanted {
        case .object(let object): compare(object, live, fields, path)
        case .array(let array): compare(array, live, fields, path)
        default: wanted == live ? nil : .field(path)
        }
    }

    private static func compare(_ wanted: JSONObject, _ live: JSON, _ fields: JSON, _ path: String) -> Difference? {
        guard let live = live.objectValue else { return .field(path) }
        let owned = fields.objectValue ?? JSONObject()
        if !owned.members.contains(where: { $0.key != "." }) {
            if wanted.isEmpty { return nil }
            return wanted == live ? nil : .insideAtomic(path)
        }
        var found: Difference?
        for member in wanted.members {
            guard let value = live[member.key] else { return .field("\(path).\(member.key)") }
            guard let below = owned["f:\(member.key)"] else { return .field("\(path).\(member.key)") }
            switch compare(member.value, value, below, "\(path).\(member.key)") {
            case .field(let at): return .field(at)
            case .insideAtomic(let at): found = found ?? .insideAtomic(at)
            case nil: break
            }
        }
        for member in owned.members where member.key.hasPrefix("f:") {
            let name = String(member.key.dropFirst(2))
            if !wanted.contains(name) { return .field("\(path).\(name)") }
        }
        return found
    }

    private static func compare(_ wanted: [JSON], _ live: JSON, _ fields: JSON, _ path: String) -> Difference? {
        guard let live = live.arrayValue else { return .field(path) }
        let owned = (fields.objectValue?.members ?? []).filter { $0.key != "." }
        if owned.isEmpty { return wanted == live ? nil : wanted.isEmpty ? .field(path) : .insideAtomic(path) }
        if owned.contains(where: { $0.key.hasPrefix("v:") }) { return compareSet(wanted, live, owned, path) }
        if owned.count != wanted.count { return .field(path) }
        var found: Difference?
        for entry in owned {
            guard entry.key.hasPrefix("k:"), let keys = keys(entry.key) else { return .field(path) }
            let here = "\(path)[\(keys.members.map { "\($0.key)=\($0.value.text())" }.joined(separator: ","))]"
            guard let wish = wanted.first(where: { hasKeys($0, keys) }),
                let value = live.first(where: { hasKeys($0, keys) })
            else { return .field(here) }
            switch compare(wish, value, entry.value, here) {
            case .field(let at): return .field(at)
            case .insideAtomic(let at): found = found ?? .insideAtomic(at)
            case nil: break
            }
        }
        return found
    }

    private static func compareSet(
        _ wanted: [JSON], _ live: [JSON], _ owned: [JSONObject.Member], _ path: String
    ) -> Difference? {
        if owned.count != wanted.count || !wanted.allSatisfy(live.contains) { return .field(path) }
        // Else: seen as different.
        let values = owned.compactMap { try? JSONParser.parse(Array($0.key.dropFirst(2).utf8)) }
        return wanted.allSatisfy(values.contains) ? nil : .field(path)
    }

    private static func keys(_ entry: String) -> JSONObject? {
        (try? JSONParser.parse(Array(entry.dropFirst(2).utf8)))?.objectValue  // not JSON: the caller sees a difference
    }

    private static func hasKeys(_ element: JSON, _ keys: JSONObject) -> Bool {
        keys.members.allSatisfy { element[$0.key] == $0.value }
    }
}
