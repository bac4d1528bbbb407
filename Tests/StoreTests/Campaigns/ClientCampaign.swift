import Seams
import Simulation
import Store

/// Clients that write, read and list at the same time, in one thread under a seed, while the disk fails, power is cut
/// and processes die. Makes a history for the checkers.
struct ClientCampaign {
    /// Counts what the run hit; a run that hit nothing is void.
    struct Report {
        var powerCuts = 0, kills = 0, failures = 0
        /// Faults during which a write was under way.
        var inWrites = 0
        var acknowledged = 0, conflicts = 0, reads = 0, unknown = 0, compactions = 0

        var faults: Int { powerCuts + kills + failures }
    }

    private enum Client {
        case idle
        case called(ClientHistory.Operation)
        /// Answered as it stands once the revision is durable.
        case waiting(ClientHistory.Operation, UInt64)
    }

    private(set) var history: ClientHistory
    private(set) var report = Report()
    /// What the log's follower saw that no log may show, such as a store that went back.
    private(set) var violations: [String] = []
    private let random: SeededRandom
    private let numbers: KeyNumbers
    private let keyCount: Int
    private let faultRarity: Int
    private let bug: PlantedBug?
    private let simulated: SimulatedStore
    private var front: any StoreFront
    private var follower: (any FrontWatch)?
    private var followed: UInt64 = 1
    private var clients = [Client](repeating: .idle, count: 16)
    private var time: UInt64 = 1
    private var values: UInt64 = 0

    init(seed: UInt64, keyCount: Int, faultRarity: Int = 1000, bug: PlantedBug? = nil) throws {
        random = SeededRandom(seed: seed)
        numbers = KeyNumbers(groupSize: 8)
        history = ClientHistory(groupSize: numbers.groupSize)
        self.keyCount = keyCount
        self.faultRarity = faultRarity
        self.bug = bug
        simulated = try SimulatedStore(seed: seed &* 31, historyRevisions: 1000)
        front = KeyspaceFront(simulated.store, numbers)
        connect()
    }

    private mutating func connect() {
        let honest = KeyspaceFront(simulated.store, numbers)
        front = bug.map { FaultyFront(honest, $0) } ?? honest
        follower = nil
    }

    /// Runs until so many operations have ended, then lets everything come to rest.
    mutating func run(operations: Int) throws {
        while history.operations.count < operations {
            try step(random.next(below: clients.count))
            if random.oneIn(6) { simulated.store.flush() }
            if random.oneIn(24) { follow() }
            if random.oneIn(150) { compact() }
            if random.oneIn(faultRarity) { arrangeFault() }
            if simulated.disk.hasCrashed || simulated.store.writeRefusal != nil { try restart(keepingAll: false) }
        }
        simulated.store.flush()
        if simulated.disk.hasCrashed { try restart(keepingAll: false) }
        follow()
        for client in clients.indices { abandon(client) }
    }

    // MARK: Clients

    private mutating func step(_ number: Int) throws {
        time += 1
        switch clients[number] {
        case .idle: clients[number] = .called(nextOperation(number))
        case .called(let operation): clients[number] = try perform(operation)
        case .waiting(var operation, let revision):
            guard front.durable >= revision else { return }
            operation.returned = time
            count(operation)
            history.operations.append(operation)
            clients[number] = .idle
        }
    }

    private mutating func nextOperation(_ client: Int) -> ClientHistory.Operation {
        let key = random.next(below: keyCount)
        var operation = ClientHistory.Operation(client: client, called: time, request: .get(key))
        switch random.next(below: 10) {
        case 0..<5:
            values += 1
            operation.request = .put(key, value: values)
        case 5: operation.request = .delete(key)
        case 6: operation.request = .list(group: key / numbers.groupSize)
        default: return operation
        }
        if operation.written != nil, operation.value == nil || random.oneIn(2) {
            // Mostly what is there; sometimes what was, or nothing.
            let current = simulated.store.snapshot(.durable).get(numbers.key(key))?.modRevision.rawValue ?? 0
            let compare = random.oneIn(8) ? (random.oneIn(2) ? 0 : max(current, 2) - 1) : current
            // A delete names a revision, so that it is never one that changes nothing.
            operation.compare = operation.value == nil ? max(compare, 1) : compare
        }
        return operation
    }

    private mutating func perform(_ asked: ClientHistory.Operation) throws -> Client {
        var operation = asked
        do throws(StoreError) {
            if operation.written == nil {
                let (revision, seen) = try front.read(operation.request)
                operation.answer = .read(revision: revision, seen)
                let past = max(simulated.store.compactedRevision.rawValue, revision - min(revision, 40))
                if random.oneIn(8), past < revision {
                    operation.answer = .readPast(
                        revision: past, try front.read(operation.request, at: past))
                }
                return .waiting(operation, 0)
            }
            switch try front.commit([operation]) {
            case .sequenced(let revision):
                operation.answer = .written(revision)
                return .waiting(operation, revision)
            case .conflict(let found, let seen):
                operation.answer = .conflict(found)
                return .waiting(operation, seen)
            }
        } catch {
            // Refused, without a promise.
            if operation.written != nil { history.operations.append(asked) }
            return .idle
        }
    }

    private mutating func count(_ operation: ClientHistory.Operation) {
        switch operation.answer {
        case .written: report.acknowledged += 1
        case .conflict: report.conflicts += 1
        case .read, .readPast: report.reads += 1
        case .unknown: break
        }
    }

    /// The client hears no more of what it asked.
    private mutating func abandon(_ number: Int) {
        defer { clients[number] = .idle }
        switch clients[number] {
        case .idle: break
        case .called(var operation), .waiting(var operation, _):
            if operation.written == nil { return }
            operation.answer = .unknown
            report.unknown += 1
            history.operations.append(operation)
        }
    }

    // MARK: The log

    /// Reads on in the log of all changes, from a new watch now and then.
    private mutating func follow() {
        do throws(StoreError) {
            if follower == nil { follower = try front.watch(.all, after: followed) }
            guard let watch = follower else { return }
            while case let events = try watch.poll(), !events.isEmpty {
                history.log += events
                followed = events[events.count - 1].revision
            }
            followed = max(followed, watch.bookmark)
            if random.oneIn(4) { follower = nil }
        } catch {
            violations.append("the log cannot be followed from \(followed): \(error)")
            follower = nil
        }
    }

    /// Forgets what the follower has read, up to its place itself.
    private mutating func compact() {
        simulated.store.compact(to: Revision(rawValue: min(followed, simulated.store.durableRevision.rawValue)))
        report.compactions += 1
        follower = nil
    }

    // MARK: Faults

    private mutating func arrangeFault() {
        let soon = simulated.disk.operations + 1 + random.next(below: 6)
        switch random.next(below: 4) {
        case 0, 1: simulated.disk.crash(atOperation: soon)
        case 2: simulated.disk.fail(atOperation: soon, with: random.oneIn(2) ? .failed(5) : .noSpace)
        default:
            report.kills += 1
            do { try restart(keepingAll: true) } catch { violations.append("no restart after a kill: \(error)") }
        }
    }

    private mutating func restart(keepingAll: Bool) throws {
        if !keepingAll {
            if simulated.disk.hasCrashed { report.powerCuts += 1 } else { report.failures += 1 }
        }
        let wasInWrite = clients.contains {
            if case .waiting(let operation, _) = $0 { operation.written != nil } else { false }
        }
        if wasInWrite { report.inWrites += 1 }
        for client in clients.indices { abandon(client) }
        // After a disk error the process may start again while the kernel still shows what the disk does not have.
        let mayKeepAll = keepingAll || !simulated.disk.hasCrashed && random.oneIn(2)
        try simulated.restart(keepingAll: mayKeepAll)
        connect()
    }
}
