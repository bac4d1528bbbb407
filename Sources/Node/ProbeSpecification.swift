package import Documents

/// One probe of a container, as core/v1 writes it, with its defaults filled in.
package struct ProbeSpecification: Sendable, Hashable {
    package enum Check: Sendable, Hashable {
        /// `port` is a number or the name of a container port.
        case get(path: String, port: String, host: String, headers: [[String]])
        case socket(port: String, host: String)
        case command([String])
    }

    package enum Kind: Sendable, Hashable, CaseIterable { case startup, readiness, liveness }

    package var check: Check
    package var initialDelay: Duration
    package var period: Duration
    package var timeout: Duration
    package var successThreshold: Int
    package var failureThreshold: Int

    package init(
        check: Check, initialDelay: Duration = .zero, period: Duration = .seconds(10), timeout: Duration = .seconds(1),
        successThreshold: Int = 1, failureThreshold: Int = 3
    ) {
        self.check = check
        self.initialDelay = initialDelay
        self.period = period
        self.timeout = timeout
        self.successThreshold = successThreshold
        self.failureThreshold = failureThreshold
    }

    package init?(_ json: JSON?) {
        guard let json, let check = Check(json) else { return nil }
        func seconds(_ key: String, _ fallback: Int64, atLeast minimum: Int64) -> Duration {
            .seconds(max(minimum, json[key]?.integerValue ?? fallback))
        }
        self.init(
            check: check, initialDelay: seconds("initialDelaySeconds", 0, atLeast: 0),
            period: seconds("periodSeconds", 10, atLeast: 1), timeout: seconds("timeoutSeconds", 1, atLeast: 1),
            successThreshold: max(1, Int(clamping: json["successThreshold"]?.integerValue ?? 1)),
            failureThreshold: max(1, Int(clamping: json["failureThreshold"]?.integerValue ?? 3)))
    }
}

extension ProbeSpecification.Check {
    init?(_ json: JSON) {
        if let get = json["httpGet"] {
            let headers = (get["httpHeaders"]?.arrayValue ?? []).map {
                [$0["name"]?.stringValue ?? "", $0["value"]?.stringValue ?? ""]
            }
            self = .get(
                path: get["path"]?.stringValue ?? "/", port: Self.port(get["port"]),
                host: get["host"]?.stringValue ?? "", headers: headers)
        } else if let socket = json["tcpSocket"] {
            self = .socket(port: Self.port(socket["port"]), host: socket["host"]?.stringValue ?? "")
        } else if let words = json["exec"]?["command"]?.arrayValue {
            self = .command(words.compactMap(\.stringValue))
        } else {
            return nil
        }
    }

    private static func port(_ json: JSON?) -> String { json?.stringValue ?? json?.integerValue.map(String.init) ?? "" }
}
