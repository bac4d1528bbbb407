/// What clients asked of a store and were told, and what the store's own log says in the end. Times are of one clock;
/// keys are numbers, `groupSize` of them in a group that one list reads; each put writes a value of its own.
struct ClientHistory: Sendable {
    struct Operation: Sendable {
        enum Request: Sendable {
            case put(Int, value: UInt64)
            case delete(Int)
            case get(Int)
            case list(group: Int)
        }
        enum Answer: Sendable {
            case written(UInt64)
            /// The precondition did not hold: the key was at this revision, 0 for absent.
            case conflict(UInt64)
            case read(revision: UInt64, [Seen])
            /// A read of a revision that the client named.
            case readPast(revision: UInt64, [Seen])
            /// No answer, or one that promises nothing: it may have happened, now or later.
            case unknown
        }
        var client: Int
        var called: UInt64
        var returned = UInt64.max
        var request: Request
        /// The revision a write required, 0 for "must not exist"; `nil` for none.
        var compare: UInt64?
        var answer = Answer.unknown

        /// The key of a write.
        var written: Int? {
            switch request {
            case .put(let key, _), .delete(let key): key
            case .get, .list: nil
            }
        }

        /// The value a write leaves; `nil` for none.
        var value: UInt64? {
            if case .put(_, let value) = request { return value }
            return nil
        }
    }

    struct Seen: Sendable, Equatable {
        var key: Int
        var value: UInt64
        var revision: UInt64
    }

    /// A change, as a watch of everything told it.
    struct Event: Sendable, Equatable {
        var revision: UInt64
        var key: Int
        var value: UInt64?
    }

    var groupSize: Int
    var operations: [Operation] = []
    /// From the first revision on.
    var log: [Event] = []

    /// The keys a read covers.
    func keys(of request: Operation.Request) -> Range<Int> {
        switch request {
        case .put(let key, _), .delete(let key), .get(let key): key..<key + 1
        case .list(let group): group * groupSize..<(group + 1) * groupSize
        }
    }
}
