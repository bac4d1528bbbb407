import Documents
import Gateway
import Testing

@Suite struct ControlMessageTests {
    static var statistics: GatewayStatistics {
        var statistics = GatewayStatistics()
        statistics.connections = 3
        var counters = BackendCounters()
        counters.requests = 10
        counters.statuses = [0, 8, 1, 0, 1]
        counters.failures = 1
        counters.latency.record(nanoseconds: 1_500_000)
        statistics.backends["n/b:80"] = GatewayStatistics.Entry(counters: counters)
        return statistics
    }

    static let hello = ControlMessage.Hello(
        protocolVersion: 2, pid: 7, address: "127.0.0.1:80", generation: 3,
        failures: [.init(address: "a:1", message: "m")])

    @Test(arguments: [
        ControlMessage.hello(hello),
        .table(generation: 4, RoutingTable(backends: [.init(name: "b", endpoints: ["a:1"])])),
        .acknowledged(generation: 5, failures: []), .refused(generation: 6, message: "why"), .statisticsWanted,
        .statistics(statistics), .shutdown,
    ])
    func survivesTheSocket(_ message: ControlMessage) throws {
        let frame = message.frame
        let length = frame[..<4].reduce(0) { $0 << 8 | Int($1) }
        #expect(length == frame.count - 4)
        #expect(try ControlMessage(json: try JSONParser.parse(frame[4...])) == message)
    }

    @Test(arguments: [
        "{}", "[]", "3", #"{"type":"nonsense"}"#, #"{"type":"table","table":{"backends":7}}"#, #"{"type":7}"#,
    ])
    func refusesWhatIsNoMessage(_ text: String) {
        #expect(throws: GatewayMessageError.self) { try ControlMessage(json: try JSONParser.parse(Array(text.utf8))) }
    }
}
