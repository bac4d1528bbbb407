/// Whether a history is one that a linearizable store with revisions could have made. Every answer bears a revision, so
/// the order is given and only has to be believed or refuted: near linear in time. `ValueChecker` looks at the same
/// history without revisions, for a store that lies about them.
struct HistoryChecker {
    private let history: ClientHistory
    private(set) var violations: [String] = []
    /// The versions of each key, by revision.
    private var versions: [Int: [(revision: UInt64, value: UInt64?)]] = [:]
    /// Which operation made an event of the log, by place in the log.
    private var makers: [Int?] = []
    /// The place in the log of each revision's first event.
    private var places: [UInt64: Int] = [:]
    private var lastRevision: UInt64 = 1
    /// The latest call among the writes up to a revision: nobody can know of that revision earlier.
    private var calledBy: [UInt64] = [0, 0]

    static func violations(_ history: ClientHistory) -> [String] {
        var checker = HistoryChecker(history)
        checker.readLog()
        checker.matchWrites()
        checker.findPhantoms()
        checker.checkTimes()
        return checker.violations
    }

    private init(_ history: ClientHistory) { self.history = history }

    private mutating func violation(_ text: String) {
        if violations.count < 100 { violations.append(text) }
    }

    /// (a) The log is one order without gap, each revision once.
    private mutating func readLog() {
        makers = Array(repeating: nil, count: history.log.count)
        for (place, event) in history.log.enumerated() {
            if event.revision == lastRevision + 1 {
                places[event.revision] = place
                lastRevision = event.revision
            } else if event.revision != lastRevision || place == 0 {
                violation("the log has revision \(event.revision) behind \(lastRevision)")
                continue
            }
            if versions[event.key]?.last?.revision == event.revision {
                violation("the log has key \(event.key) twice at revision \(event.revision)")
            }
            versions[event.key, default: []].append((event.revision, event.value))
        }
    }

    /// The version of a key at a revision, and the place of the one before in its list.
    private func version(_ key: Int, at revision: UInt64) -> (revision: UInt64, value: UInt64?)? {
        guard let list = versions[key] else { return nil }
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : list[low - 1]
    }

    /// The revision a key is at, 0 where it does not exist.
    private func modRevision(_ key: Int, at revision: UInt64) -> UInt64 {
        version(key, at: revision).flatMap { $0.value == nil ? nil : $0.revision } ?? 0
    }

    private func place(of key: Int, at revision: UInt64) -> Int? {
        guard var place = places[revision] else { return nil }
        while place < history.log.count, history.log[place].revision == revision {
            if history.log[place].key == key { return place }
            place += 1
        }
        return nil
    }

    /// (a), (e) Every acknowledged write is in the log where it was said to be; a write without an answer may be.
    private mutating func matchWrites() {
        var open: [UInt64: Int] = [:]
        var openDeletes: [Int: [Int]] = [:]
        for (number, operation) in history.operations.enumerated() {
            guard let key = operation.written else { continue }
            switch operation.answer {
            case .written(let revision): matchAcknowledged(number, operation, key, revision)
            case .unknown:
                if let value = operation.value {
                    open[value] = number
                } else {
                    openDeletes[key, default: []].append(number)
                }
            case .conflict, .read, .readPast: break
            }
        }
        for (place, event) in history.log.enumerated() where makers[place] == nil {
            if let value = event.value {
                guard let number = open.removeValue(forKey: value) else { continue }
                makers[place] = number
                checkCompare(history.operations[number], event.key, event.revision)
            } else if var candidates = openDeletes[event.key] {
                let fits = candidates.firstIndex { candidate in
                    let compare = history.operations[candidate].compare
                    return compare == nil || compare == modRevision(event.key, at: event.revision - 1)
                }
                guard let fits else { continue }
                makers[place] = candidates.remove(at: fits)
                openDeletes[event.key] = candidates
            }
        }
    }

    private mutating func matchAcknowledged(
        _ number: Int, _ operation: ClientHistory.Operation, _ key: Int, _ revision: UInt64
    ) {
        guard let place = place(of: key, at: revision) else {
            // Deleting what is not there changes nothing and is as good as a read.
            if operation.value == nil, operation.compare == nil, modRevision(key, at: revision) == 0,
                revision <= lastRevision
            {
                return
            }
            return violation("\(operation) was acknowledged and is not in the log")
        }
        if history.log[place].value != operation.value {
            violation("\(operation) was acknowledged; the log has \(history.log[place])")
        } else if let other = makers[place] {
            violation("\(operation) and \(history.operations[other]) have one revision")
        } else {
            makers[place] = number
            checkCompare(operation, key, revision)
        }
    }

    /// (c) for writes: what happened was allowed to happen.
    private mutating func checkCompare(_ operation: ClientHistory.Operation, _ key: Int, _ revision: UInt64) {
        guard let compare = operation.compare else { return }
        let before = modRevision(key, at: revision - 1)
        if before != compare { violation("\(operation) happened at \(revision) although the key was at \(before)") }
    }

    /// (e) Nothing is in the log that nobody wrote, or that somebody was told had not happened.
    private mutating func findPhantoms() {
        for (place, event) in history.log.enumerated() where makers[place] == nil { violation("nobody made \(event)") }
        for revision in stride(from: UInt64(2), through: lastRevision, by: 1) {
            let called = places[revision].flatMap { makers[$0] }.map { history.operations[$0].called } ?? 0
            calledBy.append(max(calledBy[Int(revision) - 1], called))
        }
    }

    /// The newest revision that existed, for all anyone can know, before `time`.
    private func ceiling(_ time: UInt64) -> UInt64 {
        var (low, high) = (1, calledBy.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if calledBy[middle] < time { low = middle } else { high = middle - 1 }
        }
        return UInt64(low)
    }

    /// (b), (c), (d) An answer is never older than what was known before its question, nor newer than its time.
    private mutating func checkTimes() {
        let operations = history.operations
        let byCall = operations.indices.sorted { operations[$0].called < operations[$1].called }
        let byReturn = operations.indices.sorted { operations[$0].returned < operations[$1].returned }
        var madeBy: [Int: UInt64] = [:]
        for (place, maker) in makers.enumerated() {
            if let maker { madeBy[maker] = history.log[place].revision }
        }
        var floor: UInt64 = 1
        var next = 0
        for number in byCall {
            let operation = operations[number]
            while next < byReturn.count, operations[byReturn[next]].returned < operation.called {
                switch operations[byReturn[next]].answer {
                case .written(let revision), .read(let revision, _): floor = max(floor, revision)
                case .conflict, .readPast, .unknown: break
                }
                next += 1
            }
            if let revision = madeBy[number], revision <= floor {
                violation("\(operation) is at \(revision), and \(floor) was known before")
            }
            check(operation, floor: floor)
        }
    }

    private mutating func check(_ operation: ClientHistory.Operation, floor: UInt64) {
        switch operation.answer {
        case .unknown: break
        case .written(let revision):
            if revision < floor { violation("\(operation) is behind \(floor), which was known before") }
        case .read(let revision, let seen):
            if revision < floor { violation("\(operation) is behind \(floor), which was known before") }
            if revision > ceiling(operation.returned) { violation("\(operation) is ahead of its time") }
            checkContent(operation, revision, seen)
        case .readPast(let revision, let seen):
            checkContent(operation, revision, seen)
        case .conflict(let found):
            guard let key = operation.written else { return }
            let end = min(ceiling(operation.returned), lastRevision)
            if operation.compare == found { violation("\(operation) was refused although it held") }
            let held = (versions[key] ?? []).indices.contains { index in
                let list = versions[key] ?? []
                let until = index + 1 < list.count ? list[index + 1].revision - 1 : UInt64.max
                let revision = list[index].value == nil ? 0 : list[index].revision
                return revision == found && list[index].revision <= end && until >= floor
            }
            let wasNever = found == 0 && (versions[key]?.first?.revision ?? .max) > floor
            if !held && !wasNever { violation("\(operation): the key was never at \(found) in its time") }
        }
    }

    /// (c) What was read is exactly what was there at its revision.
    private mutating func checkContent(
        _ operation: ClientHistory.Operation, _ revision: UInt64, _ seen: [ClientHistory.Seen]
    ) {
        if revision > lastRevision { return violation("\(operation): there never was a revision \(revision)") }
        var expected: [ClientHistory.Seen] = []
        for key in history.keys(of: operation.request) {
            if let version = version(key, at: revision), let value = version.value {
                expected.append(.init(key: key, value: value, revision: version.revision))
            }
        }
        if expected != seen { violation("\(operation): at revision \(revision) there was \(expected)") }
    }
}
