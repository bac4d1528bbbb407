internal import ArgumentParser
internal import Client
internal import Documents
internal import Seams

/// One screen: what runs, where, what is wrong and why.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "One screen: what runs, where, what is wrong and why. Ends with 1 where something is wrong.")

    @Argument(help: "Only this landscape.") var landscape: String?
    @Flag(name: [.customShort("A"), .long], help: "In all namespaces.") var allNamespaces = false
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        let namespace = allNamespaces ? "" : session.namespace
        func all(_ resource: GroupResource) async throws -> [Document] {
            try await session.client.list(resource, namespace: namespace, options: ListOptions()).items
        }
        let landscapes = try await all(GroupResource(group: "espalier.dev", resource: "landscapes"))
        let screen = StatusScreen(
            landscapes: landscapes.filter { landscape == nil || $0.name == landscape },
            rollouts: try await all(RolloutView.resource).map(RolloutView.init),
            pods: try await all(GroupResource(group: "", resource: "pods")),
            routes: try await all(GroupResource(group: "espalier.dev", resource: "routes")),
            events: try await all(Events.resource), server: try await Self.serverProblems(session.client),
            now: SystemClock().now())
        if let landscape, screen.landscapes.isEmpty {
            throw APIError.badRequest("no landscape \"\(landscape)\" in namespace \(session.namespace)")
        }
        for line in screen.lines { Terminal.print(line) }
        if !screen.problems.isEmpty { throw Terminal.Exit(code: 1) }
    }

    /// What keeps the server from being ready, in its own words.
    private static func serverProblems(_ client: HTTPClient) async throws -> [StatusScreen.Problem] {
        let answer = try await client.request("GET", "/readyz?verbose", accept: "text/plain")
        return StatusScreen.serverProblems(String(decoding: answer.body, as: UTF8.self))
    }
}

/// The screen, laid out from documents: pure, so that tests can compare it.
struct StatusScreen {
    struct Problem: Equatable {
        var what: String
        var why: String
    }

    let landscapes: [Document]
    let rollouts: [RolloutView]
    let pods: [Document]
    let routes: [Document]
    let events: [Document]
    /// What is wrong with the server itself.
    let server: [Problem]
    let now: Instant

    /// Reads the answer of `/readyz?verbose`: lines of checks, those that failed with a reason.
    static func serverProblems(_ text: String) -> [Problem] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("[-]"), let end = line.firstIndex(of: " ") else { return nil }
            let why = line[line.index(after: end)...]
            return Problem(
                what: "server: \(line.dropFirst(3).prefix { $0 != " " })",
                why: why.hasPrefix("failed: ") ? String(why.dropFirst("failed: ".count)) : String(why))
        }
    }

    /// Warnings older than this are history.
    private static let recent = Duration.seconds(600)

    var lines: [String] {
        if landscapes.isEmpty, server.isEmpty {
            return ["No landscapes. Declare one with `espalier apply -f FILE`; manifests/quickstart holds an example."]
        }
        var lines: [String] = []
        for landscape in landscapes { lines += section(landscape) + [""] }
        if !lines.isEmpty { lines.removeLast() }
        let problems = problems
        if !problems.isEmpty {
            lines += ["", Terminal.paint("What is wrong", .red)]
            for problem in problems { lines += ["  \(problem.what)", "    \(problem.why)"] }
        }
        return lines
    }

    private func section(_ landscape: Document) -> [String] {
        let status = landscape.status
        let isReady = Self.condition(landscape, "Ready")?["status"]?.stringValue == "True"
        let mark =
            isReady
            ? Terminal.paint("ready", .green)
            : Self.isOnItsWay(landscape) ? Terminal.paint("on its way", .yellow) : Terminal.paint("not ready", .red)
        let url = status["url"]?.stringValue.map { "  \($0)" } ?? ""
        var lines = ["\(landscape.namespace)/\(landscape.name)  \(mark)\(url)"]
        let active = status["revision"]?["active"]?.stringValue ?? "none"
        lines.append("  revision  \(active)\(traffic(status))")
        let candidate = status["revision"]?["candidate"]?.stringValue
        if let candidate,
            let rollout = rollouts.first(where: {
                $0.document.namespace == landscape.namespace && $0.landscape == landscape.name
                    && $0.document.spec["to"]?.stringValue == candidate && !$0.hasEnded
            })
        {
            lines.append("  rollout   \(rollout.summary)")
        }
        let rows = (status["services"]?.arrayValue ?? []).map { service -> [String] in
            let name = service["name"]?.stringValue ?? ""
            let own = pods.filter { Self.isPart($0, of: landscape) && $0.labels["app.kubernetes.io/component"] == name }
            let restarts = own.reduce(Int64(0)) { $0 + Self.restarts($1) }
            return [
                name, service["hash"]?.stringValue ?? "",
                "\(service["ready"]?.integerValue ?? 0)/\(service["desired"]?.integerValue ?? 0)", String(restarts),
                // Of the hash that counts: other revisions' pods may still be there, warm or on their way out.
                own.filter { $0.labels["espalier.dev/hash"].map { $0 == service["hash"]?.stringValue } ?? true }
                    .compactMap { $0.status["podIP"]?.stringValue }.joined(separator: ","),
            ]
        }
        let table = TextTable(header: ["SERVICE", "HASH", "READY", "RESTARTS", "ADDRESSES"], rows: rows)
        return lines + table.lines().map { "  \($0)" }
    }

    private func traffic(_ status: JSON) -> String {
        let shares = (status["traffic"]?.arrayValue ?? []).compactMap { entry -> String? in
            guard let revision = entry["revision"]?.stringValue, let weight = entry["weight"]?.integerValue else {
                return nil
            }
            let acknowledged = entry["acknowledged"]?.integerValue
            return "\(revision) \(weight) %" + (acknowledged == weight ? "" : " (gateway has \(acknowledged ?? 0) %)")
        }
        return shares.count < 2 ? "" : "  (\(shares.joined(separator: ", ")))"
    }

    /// What is wrong, the cause first: landscapes, routes, pods, then recent warnings nothing else explains.
    var problems: [Problem] {
        var problems = server
        for document in landscapes
            + routes.filter({ route in landscapes.contains { Self.isPart(route, of: $0) } || landscapes.isEmpty })
        {
            for condition in Self.failing(document) {
                let reason = condition["reason"]?.stringValue ?? ""
                problems.append(
                    Problem(
                        what:
                            "\(document.kind.lowercased()) \(document.namespace)/\(document.name): "
                            + "\(condition["type"]?.stringValue ?? "") (\(reason))",
                        why: condition["message"]?.stringValue ?? ""))
            }
        }
        var explained: Set<String> = []
        for pod in pods where landscapes.contains(where: { Self.isPart(pod, of: $0) }) {
            if let why = Self.trouble(pod) {
                let told = lastWarning(about: pod).map { why.contains($0) ? "" : ": \($0)" } ?? ""
                problems.append(Problem(what: "pod \(pod.namespace)/\(pod.name)", why: why + told))
                explained.insert(pod.uid)
            }
        }
        if problems.isEmpty { return [] }
        return Self.withoutRepeats(problems) + warnings(except: explained)
    }

    /// What was said of a landscape is not said again of its parts.
    private static func withoutRepeats(_ problems: [Problem]) -> [Problem] {
        var said: Set<String> = []
        return problems.filter { said.insert($0.why).inserted }
    }

    /// The newest warning about a pod, which knows more than its conditions: what a probe answered, for instance.
    private func lastWarning(about pod: Document) -> String? {
        Events.sorted(recentWarnings.filter { $0["involvedObject"]?["uid"]?.stringValue == pod.uid })
            .last?["message"]?.stringValue
    }

    private var recentWarnings: [Document] {
        events.filter { event in
            guard event["type"]?.stringValue == "Warning", let time = Instant(rfc3339: Events.time(event)) else {
                return false
            }
            return now - time < Self.recent
        }
    }

    /// The documents the screen speaks of; what happened to others, or to what is gone, is not its matter.
    private var shown: Set<String> {
        let ofLandscapes = (routes + pods).filter { document in landscapes.contains { Self.isPart(document, of: $0) } }
        let current = rollouts.filter { rollout in
            !rollout.hasEnded
                && landscapes.contains {
                    $0.name == rollout.landscape && $0.namespace == rollout.document.namespace
                }
        }
        return Set((landscapes + ofLandscapes + current.map(\.document)).map(\.uid))
    }

    /// The conditions that say something is wrong, not those that say it is on its way. Ready repeats what another
    /// condition says better.
    private static func failing(_ document: Document) -> [JSON] {
        let all = document.status["conditions"]?.arrayValue ?? []
        let failing = all.filter { condition in
            let isTrue = condition["status"]?.stringValue == "True"
            switch condition["type"]?.stringValue {
            case "Stalled": return isTrue
            case "Progressing": return false
            case "Ready": return !isTrue && !isOnItsWay(document)
            default: return !isTrue
            }
        }
        return failing.filter { condition in
            condition["type"]?.stringValue != "Ready"
                || failing.count { $0["message"]?.stringValue == condition["message"]?.stringValue } == 1
        }
    }

    /// Whether nothing is wrong but time: something moves, and nothing waits for somebody's help.
    private static func isOnItsWay(_ document: Document) -> Bool {
        condition(document, "Progressing")?["status"]?.stringValue == "True"
            && condition(document, "Stalled")?["status"]?.stringValue != "True"
    }

    private func warnings(except explained: Set<String>) -> [Problem] {
        let shown = shown.subtracting(explained)
        let recent = recentWarnings.filter { shown.contains($0["involvedObject"]?["uid"]?.stringValue ?? "") }
        return Events.sorted(recent).suffix(5).map { event in
            let object = event["involvedObject"]
            let name =
                "\(object?["kind"]?.stringValue?.lowercased() ?? "") "
                + "\(event.namespace)/\(object?["name"]?.stringValue ?? "")"
            return Problem(
                what:
                    "event \(Description.age(Events.time(event), now)) ago on \(name): "
                    + "\(event["reason"]?.stringValue ?? "")",
                why: event["message"]?.stringValue ?? "")
        }
    }

    private static func condition(_ document: Document, _ type: String) -> JSON? {
        document.status["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    private static func isPart(_ document: Document, of landscape: Document) -> Bool {
        document.namespace == landscape.namespace && document.labels["app.kubernetes.io/part-of"] == landscape.name
    }

    private static func restarts(_ pod: Document) -> Int64 {
        (pod.status["containerStatuses"]?.arrayValue ?? []).reduce(0) { $0 + ($1["restartCount"]?.integerValue ?? 0) }
    }

    /// Why a pod does not serve, in its own words; `nil` where it does, or is on its way without trouble.
    private static func trouble(_ pod: Document) -> String? {
        if pod.isBeingDeleted { return nil }
        for container in pod.status["containerStatuses"]?.arrayValue ?? [] {
            let waiting = container["state"]?["waiting"]
            if let reason = waiting?["reason"]?.stringValue, reason != "ContainerCreating" {
                return "\(reason): \(waiting?["message"]?.stringValue ?? "no message")"
            }
        }
        if pod.status["phase"]?.stringValue == "Failed" { return pod.status["message"]?.stringValue ?? "failed" }
        guard let ready = condition(pod, "Ready"), ready["status"]?.stringValue != "True" else { return nil }
        return ready["message"]?.stringValue
    }
}
