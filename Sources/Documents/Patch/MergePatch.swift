/// JSON merge patch (RFC 7386): members of the patch replace those of the target, `null` removes, objects merge.
package enum MergePatch {
    package static func apply(_ patch: JSON, to target: JSON) -> JSON {
        var result = target
        merge(patch, into: &result)
        return result
    }

    /// The depth of the recursion is that of the patch, which a parser has bounded.
    private static func merge(_ patch: JSON, into target: inout JSON) {
        guard case .object(let changes) = patch else {
            target = patch
            return
        }
        if target.objectValue == nil { target = .object(JSONObject()) }
        guard case .object(var object) = target else { return }
        target = .null  // drop the other reference, so that the object is changed in place
        var gone: [String] = []
        for change in changes.members {
            if change.value.isNull {
                gone.append(change.key)
            } else if object.contains(change.key) {
                object.update(change.key) { merge(change.value, into: &$0) }
            } else {
                var value = JSON.null
                merge(change.value, into: &value)
                object[change.key] = value
            }
        }
        object.removeAll(gone)
        target = .object(object)
    }
}
