/// An address the gateway should listen on and cannot.
package struct ListenFailure: Sendable, Equatable {
    /// `address:port`.
    package var address: String
    package var message: String

    package init(address: String, message: String) {
        self.address = address
        self.message = message
    }
}

/// Which service addresses are open, and which must be opened or closed to match a table. Pure; the proxy does what the
/// actions say and tells what came of it.
package struct ServiceListenerSet: Sendable {
    package struct Address: Sendable, Hashable, Comparable, CustomStringConvertible {
        package var host: String
        package var port: Int
        package var isUDP: Bool
        package var description: String { "\(host):\(port)\(isUDP ? "/UDP" : "")" }

        package init(host: String, port: Int, isUDP: Bool = false) {
            self.host = host
            self.port = port
            self.isUDP = isUDP
        }

        package init(_ service: RoutingTable.ServiceAddress) {
            self.init(host: service.address, port: service.port, isUDP: service.isUDP)
        }

        package static func < (left: Self, right: Self) -> Bool {
            (left.host, left.port, left.isUDP ? 1 : 0) < (right.host, right.port, right.isUDP ? 1 : 0)
        }
    }

    package enum Action: Sendable, Equatable {
        case open(Address)
        case close(Address)
        /// Call `onRetry` after this long.
        case retry(afterMilliseconds: Int)
    }

    private enum State: Sendable, Equatable {
        case opening
        case open
        case failed(String)
    }

    private var states: [Address: State] = [:]
    private var wanted: Set<Address> = []
    private var isRetryPlanned = false
    private var retries = 0

    package init() {}

    /// Whether every address has been tried, so that the failures are the whole truth.
    package var isSettled: Bool { !states.values.contains(.opening) }

    package var failures: [ListenFailure] {
        states.sorted { $0.key < $1.key }.compactMap { address, state in
            if case .failed(let message) = state {
                ListenFailure(address: address.description, message: message)
            } else {
                nil
            }
        }
    }

    package mutating func onTable(_ table: RoutingTable) -> [Action] {
        let next = Set(table.services.map { Address($0) })
        var actions: [Action] = []
        for address in wanted.subtracting(next).sorted() {
            // One that is being opened is closed when it has been.
            if states[address] == .open { actions.append(.close(address)) }
            if states[address] != .opening { states[address] = nil }
        }
        wanted = next
        retries = 0
        for address in next.sorted() where states[address] != .open && states[address] != .opening {
            states[address] = .opening
            actions.append(.open(address))
        }
        return actions
    }

    package mutating func onOpened(_ address: Address) -> [Action] {
        if wanted.contains(address) {
            states[address] = .open
            return []
        }
        states[address] = nil
        return [.close(address)]
    }

    /// An address that is not there yet is tried again, ever more rarely, for as long as a table names it.
    package mutating func onFailed(_ address: Address, _ message: String) -> [Action] {
        guard wanted.contains(address) else {
            states[address] = nil
            return []
        }
        states[address] = .failed(message)
        if isRetryPlanned { return [] }
        isRetryPlanned = true
        retries += 1
        return [.retry(afterMilliseconds: min(100 << min(retries - 1, 5), 2000))]
    }

    package mutating func onRetry() -> [Action] {
        isRetryPlanned = false
        var actions: [Action] = []
        for address in wanted.sorted() {
            if case .failed = states[address] {
                states[address] = .opening
                actions.append(.open(address))
            }
        }
        return actions
    }
}
