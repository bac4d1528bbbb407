/// The members of a JSON object, in the order they were written. Names are unique and compare as bytes.
///
/// Objects are small as a rule, so look-up is a scan; from `indexThreshold` members on, an index keeps it constant, so
/// that a hostile document of many members costs no quadratic time.
package struct JSONObject: Sendable {
    package struct Member: Sendable, Equatable {
        package let key: String
        package var value: JSON
    }

    package private(set) var members: [Member]
    private var index: [NameBytes: Int]?
    private static let indexThreshold = 24

    /// A member name that hashes and compares as bytes.
    private struct NameBytes: Hashable {
        let text: String
        static func == (left: NameBytes, right: NameBytes) -> Bool { left.text.isSameBytes(as: right.text) }
        func hash(into hasher: inout Hasher) { hasher.combine(text) }
    }

    package init() { members = [] }

    /// Of members with the same name, the last one wins and takes the place of the first.
    package init(_ pairs: some Sequence<(String, JSON)>) {
        members = []
        for (key, value) in pairs { self[key] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var keys: some Sequence<String> { members.lazy.map(\.key) }

    package subscript(key: String) -> JSON? {
        get { position(of: key).map { members[$0].value } }
        set {
            switch (position(of: key), newValue) {
            case (let found?, let value?): members[found].value = value
            case (let found?, nil):
                members.remove(at: found)
                rebuildIndex()
            case (nil, let value?): append(key, value)
            case (nil, nil): break
            }
        }
    }

    /// Changes a member in place, without copying what it holds. Does nothing where the member is missing.
    package mutating func update(_ key: String, _ change: (inout JSON) throws -> Void) rethrows {
        guard let found = position(of: key) else { return }
        try change(&members[found].value)
    }

    /// Appends a member the caller knows to be new. Returns false, and changes nothing, where the name is taken.
    @discardableResult
    package mutating func append(_ key: String, _ value: JSON) -> Bool {
        if position(of: key) != nil { return false }
        members.append(Member(key: key, value: value))
        if index != nil {
            index?[NameBytes(text: key)] = members.count - 1
        } else if members.count >= Self.indexThreshold {
            rebuildIndex()
        }
        return true
    }

    package func contains(_ key: String) -> Bool { position(of: key) != nil }

    /// Keeps the members for which `isIncluded` holds.
    package mutating func filter(_ isIncluded: (Member) throws -> Bool) rethrows {
        members = try members.filter(isIncluded)
        rebuildIndex()
    }

    /// Removes the members of these names in one pass; one by one, each would cost as much as all.
    package mutating func removeAll(_ names: [String]) {
        if names.isEmpty { return }
        let gone = Set(names.map(NameBytes.init))
        filter { !gone.contains(NameBytes(text: $0.key)) }
    }

    /// The members in byte order of their names; the members themselves where they stand so already.
    package var sortedMembers: [Member] {
        let isSorted = members.indices.dropLast().allSatisfy {
            members[$0].key.precedesBytes(of: members[$0 + 1].key)
        }
        return isSorted ? members : members.sorted { $0.key.precedesBytes(of: $1.key) }
    }

    /// Orders the members by the bytes of their names.
    package mutating func sort() {
        members.sort { $0.key.precedesBytes(of: $1.key) }
        rebuildIndex()
    }

    private func position(of key: String) -> Int? {
        if let index { return index[NameBytes(text: key)] }
        return members.firstIndex { $0.key.isSameBytes(as: key) }
    }

    private mutating func rebuildIndex() {
        guard members.count >= Self.indexThreshold else { return index = nil }
        var rebuilt = [NameBytes: Int](minimumCapacity: members.count)
        for (position, member) in members.enumerated() { rebuilt[NameBytes(text: member.key)] = position }
        index = rebuilt
    }
}

extension JSONObject: Equatable {
    /// Objects are equal when they have the same members; their order does not count.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.key] == $0.value }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }
}
