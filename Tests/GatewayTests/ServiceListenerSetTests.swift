import Gateway
import Testing

@Suite struct ServiceListenerSetTests {
    static let first = ServiceListenerSet.Address(host: "10.96.0.1", port: 80)
    static let second = ServiceListenerSet.Address(host: "10.96.0.2", port: 80)

    static func table(_ addresses: ServiceListenerSet.Address...) -> RoutingTable {
        RoutingTable(
            backends: [.init(name: "n/s:80", endpoints: [])],
            services: addresses.map { .init(address: $0.host, port: $0.port, backend: 0) })
    }

    @Test func opensAndClosesWhatChanged() {
        var set = ServiceListenerSet()
        let step1 = set.onTable(Self.table(Self.first))
        #expect(step1 == [.open(Self.first)])
        #expect(!set.isSettled)
        let step2 = set.onOpened(Self.first)
        #expect(step2 == [])
        #expect(set.isSettled && set.failures.isEmpty)
        let step3 = set.onTable(Self.table(Self.first, Self.second))
        #expect(step3 == [.open(Self.second)])
        let step4 = set.onOpened(Self.second)
        #expect(step4 == [])
        let step5 = set.onTable(Self.table(Self.second))
        #expect(step5 == [.close(Self.first)])
    }

    @Test func closesWhatWasOpenedTooLate() {
        var set = ServiceListenerSet()
        _ = set.onTable(Self.table(Self.first))
        let step6 = set.onTable(Self.table())
        #expect(step6 == [])
        let step7 = set.onOpened(Self.first)
        #expect(step7 == [.close(Self.first)])
        #expect(set.isSettled)
    }

    @Test func reportsAndRetriesWhatFailed() {
        var set = ServiceListenerSet()
        _ = set.onTable(Self.table(Self.first, Self.second))
        let step8 = set.onFailed(Self.first, "no such address")
        #expect(step8 == [.retry(afterMilliseconds: 100)])
        let step9 = set.onFailed(Self.second, "no such address")
        #expect(step9 == [])
        #expect(set.isSettled)
        #expect(set.failures.map(\.address) == ["10.96.0.1:80", "10.96.0.2:80"])
        let step10 = set.onRetry()
        #expect(step10 == [.open(Self.first), .open(Self.second)])
        let step11 = set.onOpened(Self.first)
        #expect(step11 == [])
        let step12 = set.onFailed(Self.second, "no such address")
        #expect(step12 == [.retry(afterMilliseconds: 200)])
        #expect(set.failures.map(\.address) == ["10.96.0.2:80"])
        // A new table tries at once.
        let step13 = set.onTable(Self.table(Self.second))
        #expect(step13 == [.close(Self.first), .open(Self.second)])
    }
}
