package import Documents

/// What the server and the gateway process say to each other. On the wire each message is four bytes of length, most
/// significant first, and so many bytes of JSON with a member `type`. Members that are not known are passed over, so that
/// neighbouring versions understand each other; a change that is not so takes a new protocol version.
package enum ControlMessage: Sendable, Equatable {
    /// The version of what is said here. A gateway of another version is replaced, not talked to.
    package static let protocolVersion = 2

    /// The gateway's first message.
    case hello(Hello)
    case table(generation: UInt64, RoutingTable)
    /// The table of this generation is in force on every event loop. Sent again when the failures change.
    case acknowledged(generation: UInt64, failures: [ListenFailure])
    /// The table could not be read; the one before stays in force.
    case refused(generation: UInt64, message: String)
    case statisticsWanted
    case statistics(GatewayStatistics)
    /// Finish what is under way and end.
    case shutdown

    package struct Hello: Sendable, Equatable {
        package var protocolVersion: Int
        package var pid: Int
        /// `address:port` of the routes' listener.
        package var address: String
        /// The newest table in force, zero when there is none.
        package var generation: UInt64
        package var failures: [ListenFailure]

        package init(protocolVersion: Int, pid: Int, address: String, generation: UInt64, failures: [ListenFailure]) {
            self.protocolVersion = protocolVersion
            self.pid = pid
            self.address = address
            self.generation = generation
            self.failures = failures
        }
    }
}

extension ControlMessage {
    package var json: JSON {
        switch self {
        case .hello(let hello):
            [
                "type": "hello", "protocol": .integer(Int64(hello.protocolVersion)), "pid": .integer(Int64(hello.pid)),
                "address": .string(hello.address), "generation": .integer(Int64(hello.generation)),
                "failures": Self.json(hello.failures),
            ]
        case .table(let generation, let table):
            ["type": "table", "generation": .integer(Int64(generation)), "table": table.json]
        case .acknowledged(let generation, let failures):
            ["type": "acknowledged", "generation": .integer(Int64(generation)), "failures": Self.json(failures)]
        case .refused(let generation, let message):
            ["type": "refused", "generation": .integer(Int64(generation)), "message": .string(message)]
        case .statisticsWanted: ["type": "statisticsWanted"]
        case .statistics(let statistics): ["type": "statistics", "statistics": statistics.json]
        case .shutdown: ["type": "shutdown"]
        }
    }

    package init(json: JSON) throws(GatewayMessageError) {
        switch json["type"]?.stringValue {
        case "hello":
            self = .hello(
                Hello(
                    protocolVersion: Int(json["protocol"]?.integerValue ?? 0), pid: Int(json["pid"]?.integerValue ?? 0),
                    address: json["address"]?.stringValue ?? "", generation: Self.generation(json),
                    failures: Self.failures(json)))
        case "table": self = .table(generation: Self.generation(json), try RoutingTable(json: json["table"] ?? .null))
        case "acknowledged": self = .acknowledged(generation: Self.generation(json), failures: Self.failures(json))
        case "refused":
            self = .refused(
                generation: Self.generation(json), message: json["message"]?.stringValue ?? "no reason given")
        case "statisticsWanted": self = .statisticsWanted
        case "statistics": self = .statistics(GatewayStatistics(json: json["statistics"] ?? .null))
        case "shutdown": self = .shutdown
        case let type?: throw GatewayMessageError(message: "a message of the unknown type `\(type)`")
        case nil: throw GatewayMessageError(message: "a message without a type")
        }
    }

    private static func generation(_ json: JSON) -> UInt64 { UInt64(max(0, json["generation"]?.integerValue ?? 0)) }

    private static func json(_ failures: [ListenFailure]) -> JSON {
        .array(failures.map { ["address": .string($0.address), "message": .string($0.message)] })
    }

    private static func failures(_ json: JSON) -> [ListenFailure] {
        (json["failures"]?.arrayValue ?? []).map {
            ListenFailure(address: $0["address"]?.stringValue ?? "", message: $0["message"]?.stringValue ?? "")
        }
    }

    /// The message as it goes over the socket.
    package var frame: [UInt8] {
        let body = json.encoded
        let count = UInt32(body.count)
        return [UInt8(count >> 24), UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)] + body
    }
}

extension GatewayStatistics {
    package var json: JSON {
        var object: JSONObject = ["connections": .integer(Int64(connections)), "unrouted": .integer(Int64(unrouted))]
        object["backends"] = .array(
            backends.sorted { $0.key < $1.key }.map { name, entry in
                let buckets = entry.counters.latency.counts.enumerated().filter { $0.element > 0 }
                return [
                    "name": .string(name), "requests": .integer(Int64(entry.counters.requests)),
                    "inFlight": .integer(Int64(entry.inFlight)), "failures": .integer(Int64(entry.counters.failures)),
                    "statuses": .array(entry.counters.statuses.map { .integer(Int64($0)) }),
                    "latency": .array(buckets.map { [.integer(Int64($0.offset)), .integer(Int64($0.element))] }),
                ]
            })
        return .object(object)
    }

    init(json: JSON) {
        connections = Int(json["connections"]?.integerValue ?? 0)
        unrouted = Int(json["unrouted"]?.integerValue ?? 0)
        for value in json["backends"]?.arrayValue ?? [] {
            var counters = BackendCounters()
            counters.requests = Int(value["requests"]?.integerValue ?? 0)
            counters.failures = Int(value["failures"]?.integerValue ?? 0)
            for (position, status) in (value["statuses"]?.arrayValue ?? []).enumerated() where position < 5 {
                counters.statuses[position] = Int(status.integerValue ?? 0)
            }
            for pair in value["latency"]?.arrayValue ?? [] {
                guard let pair = pair.arrayValue, pair.count == 2 else { continue }
                counters.latency.add(
                    count: UInt64(max(0, pair[1].integerValue ?? 0)), bucket: Int(pair[0].integerValue ?? -1))
            }
            var entry = Entry(counters: counters)
            entry.inFlight = Int(value["inFlight"]?.integerValue ?? 0)
            backends[value["name"]?.stringValue ?? ""] = entry
        }
    }
}
