import Documents
import Seams

/// Managed fields as anybody may write them: a set, or `[set, set]`.
func fuzzFieldSets(_ input: UnsafeBufferPointer<UInt8>) {
    guard let value = try? JSONParser.parse(input) else { return }
    if let managed = ManagedFields(value) {
        check(ManagedFields(managed.json)?.isSame(exceptTimes: managed) == true, "managed fields do not read back")
        _ = managed.owned
    }
    let pair = value.arrayValue ?? [value, [:]]
    guard pair.count == 2, let left = FieldSet(fieldsV1: pair[0]), let right = FieldSet(fieldsV1: pair[1]) else {
        return
    }
    check(FieldSet(fieldsV1: left.fieldsV1) == left, "a field set does not read back: \(left.fieldsV1.text())")
    check(FieldSet(paths: left.paths) == left, "a field set is not its paths: \(left.fieldsV1.text())")
    let union = left.union(right)
    check(union == right.union(left), "a union depends on the order")
    check(left.intersection(right) == right.intersection(left), "an intersection depends on the order")
    check(left.difference(left).isEmpty, "a set less itself is something: \(left.fieldsV1.text())")
    let parts = left.difference(right).union(left.intersection(right))
    check(parts == left, "a set is not what it shares and what it does not: \(value.text())")
    for path in left.paths { check(union.contains(path), "a path is lost in a union") }
    let type = MergeType.root(sampleSchema)
    _ = type.withNamedMembers(type.reconciled(left))
    _ = type.remove(left, from: sample)?.encoded
}

/// `[stored, applied]`, or what is applied alone: applied, applied again, changed otherwise, and given up.
func fuzzApply(_ input: UnsafeBufferPointer<UInt8>) {
    guard let value = try? JSONParser.parse(input) else { return }
    let pair = value.arrayValue ?? [sample, value]
    guard pair.count == 2, pair[1].objectValue != nil else { return }
    let live = pair[0].objectValue == nil ? nil : pair[0]
    for force in [false, true] {
        guard let first = applied(pair[1], live, "a", force: force) else { continue }
        check((try? JSONParser.parse(first.encoded)) == first, "an apply made what cannot be read")
        // What nobody owns after the first apply (an empty list alone) belongs to `before-first-apply` afterwards.
        let second = applied(pair[1], first, "a", force: force)
        let isOwned = first["metadata"]?["managedFields"] != nil
        check(second == first || !isOwned, "an apply that is repeated changes something")
        check(second.map { applied(pair[1], $0, "a", force: force) } == second, "a third apply changes something")
        check(ManagedFields(first["metadata"]?["managedFields"]) != nil, "an apply made managed fields malformed")
        _ = applied(["metadata": [:]], first, "a", force: false)
        _ = applied(live ?? .object([:]), first, "b", force: force)
        let updated = ServerSideApply.update(
            from: first, to: live ?? sample, schema: sampleSchema, manager: "c", apiVersion: "v1", subresource: nil,
            now: Instant(nanoseconds: 0))
        check(ManagedFields(updated["metadata"]?["managedFields"]) != nil, "an update made managed fields malformed")
    }
}

private func applied(_ config: JSON, _ live: JSON?, _ manager: String, force: Bool) -> JSON? {
    try? ServerSideApply.apply(
        config: config, to: live, schema: sampleSchema, manager: manager, apiVersion: "v1", subresource: nil,
        force: force, now: Instant(nanoseconds: 0))
}

/// A regular expression of a schema, a newline, and the text it is about.
func fuzzPatterns(_ text: String) {
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard let pattern = Pattern(String(parts[0])) else { return }
    let subject = parts.count > 1 ? String(parts[1]) : text
    let found = pattern.matches(in: String(subject.prefix(200)), limit: 3)
    check(pattern.matches(String(subject.prefix(200))) != found.isEmpty, "a pattern finds nothing where it matches")
    check(found.allSatisfy { subject.unicodeScalars.count >= $0.unicodeScalars.count }, "more is found than there is")
    check(pattern.matches(subject) == pattern.matches(subject), "a pattern decides differently")
}
