/// Writes that happen together or not at all, under conditions that are checked against the newest sequenced state. A
/// transaction is one revision. The same key may stand in it once.
package struct Transaction: Sendable {
    package enum Condition: Sendable {
        /// The key exists and was last written by this revision.
        case unchanged(StoreKey, Revision)
        case absent(StoreKey)
    }

    package enum Operation: Sendable {
        /// `revisionOffset` says where in `value` the digits of the new revision go: between the quotes of
        /// `"resourceVersion":""`. A sealed value reaches the disk only encrypted.
        case put(StoreKey, value: [UInt8], revisionOffset: Int?, sealed: Bool)
        /// Deleting what is not there changes nothing.
        case delete(StoreKey)

        var isSealed: Bool {
            guard case .put(_, _, _, sealed: let isSealed) = self else { return false }
            return isSealed
        }

        var key: StoreKey {
            switch self {
            case .put(let key, _, _, _), .delete(let key): key
            }
        }
    }

    package var conditions: [Condition]
    package var operations: [Operation]

    package init(conditions: [Condition] = [], operations: [Operation]) {
        self.conditions = conditions
        self.operations = operations
    }
}
