/// `metadata.managedFields`: which field manager owns which fields. An entry is known by its manager, operation and
/// subresource, an `Update` entry by its version as well; there is at most one of each.
package struct ManagedFields: Sendable, Equatable {
    package enum Operation: String, Sendable { case apply = "Apply", update = "Update" }

    /// What tells entries apart. The time does not, and the version of an `Apply` does not either.
    package struct Identity: Sendable, Hashable {
        package var manager: String
        package var operation: Operation
        package var subresource: String
        /// Empty for `Apply`.
        package var apiVersion: String

        package init(manager: String, operation: Operation, subresource: String, apiVersion: String) {
            self.manager = manager
            self.operation = operation
            self.subresource = subresource
            self.apiVersion = operation == .apply ? "" : apiVersion
        }
    }

    package struct Entry: Sendable, Equatable {
        package var manager: String
        package var operation: Operation
        package var subresource: String
        package var apiVersion: String
        /// RFC 3339 in seconds; `nil` where an apply changed nothing in the document.
        package var time: String?
        package var fields: FieldSet

        package var identity: Identity {
            Identity(manager: manager, operation: operation, subresource: subresource, apiVersion: apiVersion)
        }
    }

    /// In any order; `json` sorts them.
    package private(set) var entries: [Entry]

    package init() { entries = [] }

    /// Reads `metadata.managedFields`; a missing list is an empty one. `nil` where it is malformed.
    package init?(_ json: JSON?) {
        entries = []
        guard let json, !json.isNull else { return }
        guard let items = json.arrayValue else { return nil }
        var positions: [Identity: Int] = [:]
        for item in items {
            guard let operation = item["operation"]?.stringValue.flatMap(Operation.init),
                let fields = FieldSet(fieldsV1: item["fieldsV1"] ?? [:]),
                (item["fieldsType"]?.stringValue ?? "FieldsV1") == "FieldsV1"
            else { return nil }
            let entry = Entry(
                manager: item["manager"]?.stringValue ?? "", operation: operation,
                subresource: item["subresource"]?.stringValue ?? "", apiVersion: item["apiVersion"]?.stringValue ?? "",
                time: item["time"]?.stringValue, fields: fields)
            if let found = positions[entry.identity] {
                entries[found] = entry
            } else {
                positions[entry.identity] = entries.count
                entries.append(entry)
            }
        }
    }

    package var isEmpty: Bool { entries.isEmpty }

    package subscript(identity: Identity) -> Entry? { position(of: identity).map { entries[$0] } }

    private func position(of identity: Identity) -> Int? { entries.firstIndex { $0.identity == identity } }

    /// Sets what an identity owns. An empty set takes the entry away; a new entry has no time yet.
    mutating func set(_ fields: FieldSet, for identity: Identity, apiVersion: String) {
        if let found = position(of: identity) {
            if fields.isEmpty {
                entries.remove(at: found)
            } else {
                entries[found].fields = fields
                entries[found].apiVersion = apiVersion
            }
        } else if !fields.isEmpty {
            entries.append(
                Entry(
                    manager: identity.manager, operation: identity.operation, subresource: identity.subresource,
                    apiVersion: apiVersion, time: nil, fields: fields))
        }
    }

    mutating func setTime(_ time: String?, for identity: Identity) {
        if let found = position(of: identity) { entries[found].time = time }
    }

    /// Changes what every manager owns; those that own nothing afterwards are gone.
    mutating func updateEach(_ change: (Entry) -> FieldSet) {
        for position in entries.indices { entries[position].fields = change(entries[position]) }
        entries.removeAll { $0.fields.isEmpty }
    }

    /// All fields that anyone owns.
    package var owned: FieldSet { entries.reduce(FieldSet()) { $0.union($1.fields) } }

    /// By operation, time, manager, version and subresource.
    private var sorted: [Entry] {
        entries.sorted {
            ($0.operation.rawValue, $0.time ?? "", $0.manager, $0.apiVersion, $0.subresource)
                < ($1.operation.rawValue, $1.time ?? "", $1.manager, $1.apiVersion, $1.subresource)
        }
    }

    /// As `metadata.managedFields`.
    package var json: JSON {
        .array(
            sorted.map { entry in
                var object: JSONObject = [
                    "manager": .string(entry.manager), "operation": .string(entry.operation.rawValue),
                    "apiVersion": .string(entry.apiVersion),
                ]
                if let time = entry.time { object.append("time", .string(time)) }
                object.append("fieldsType", "FieldsV1")
                object.append("fieldsV1", entry.fields.fieldsV1)
                if !entry.subresource.isEmpty { object.append("subresource", .string(entry.subresource)) }
                return .object(object)
            })
    }

    /// Whether both say the same, whatever the times.
    package func isSame(exceptTimes other: ManagedFields) -> Bool {
        guard entries.count == other.entries.count else { return false }
        return entries.allSatisfy { entry in
            guard let match = other[entry.identity] else { return false }
            return match.apiVersion.isSameBytes(as: entry.apiVersion) && match.fields == entry.fields
        }
    }
}

extension ManagedFields {
    /// The manager that owns what was there before the first apply.
    static let beforeFirstApply = "before-first-apply"
    /// The manager that owns what the oldest of too many updaters owned.
    static let ancientChanges = "ancient-changes"
    /// `Update` entries beyond this number are merged, the oldest first.
    static let maximumUpdaters = 10

    /// Merges the oldest `Update` entries into `ancient-changes`, one for each version, until few enough are left.
    mutating func capUpdaters() {
        var updaters = entries.filter { $0.operation == .update }
        if updaters.count <= Self.maximumUpdaters { return }
        updaters.sort { ($0.time ?? "", $0.manager, $0.subresource) < ($1.time ?? "", $1.manager, $1.subresource) }
        var count = updaters.count
        var first: [String: Identity] = [:]
        var known = Dictionary(entries.map { ($0.identity, $0) }) { $1 }
        for updater in updaters where count > Self.maximumUpdaters {
            guard let oldest = first[updater.apiVersion] else {
                first[updater.apiVersion] = updater.identity
                continue
            }
            let bucket = Identity(
                manager: Self.ancientChanges, operation: .update, subresource: "", apiVersion: updater.apiVersion)
            let other = known[bucket] ?? known.removeValue(forKey: oldest)
            known[updater.identity] = nil
            known[bucket] = Entry(
                manager: bucket.manager, operation: bucket.operation, subresource: bucket.subresource,
                apiVersion: updater.apiVersion, time: updater.time,
                fields: updater.fields.union(other?.fields ?? FieldSet()))
            count -= 1
        }
        entries = Array(known.values)
    }
}
