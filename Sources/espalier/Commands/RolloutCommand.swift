internal import ArgumentParser
internal import Client
internal import Documents
internal import Seams

/// Looks at and decides about how a landscape's change goes live.
struct RolloutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollout", abstract: "Shows and decides how a landscape's change goes live.",
        subcommands: [Status.self, Pause.self, Resume.self, Promote.self, Abort.self, Retry.self, Undo.self])

    struct Target: ParsableArguments {
        @Argument(help: "The landscape.") var landscape: String
        @OptionGroup var connection: Connection

        /// The landscape's name, from `shop`, `ls/shop` or `landscape/shop`.
        var name: String { landscape.split(separator: "/").last.map(String.init) ?? landscape }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Follows the newest rollout to its end. Ends with 1 where it failed or was aborted.")
        @OptionGroup var target: Target
        @Flag(inversion: .prefixedNo, help: "Waits for the end; otherwise says where the rollout stands.") var watch =
            true

        func run() async throws {
            let session = try target.connection.open()
            let changes = try await session.client.watch(
                [LandscapeProgress.resource, RolloutView.resource], options: session.watchOptions)
            defer { changes.cancel() }
            var progress = LandscapeProgress(name: target.name)
            var said = ""
            while true {
                for event in try changes.poll() { progress.on(event) }
                guard let landscape = progress.landscape else {
                    throw APIError.badRequest("no landscape \"\(target.name)\" in namespace \(session.namespace)")
                }
                let view = progress.rollout
                let text = view?.summary ?? LandscapeProgress.waiting(landscape)
                if text != said { Terminal.print(text) }
                said = text
                if let view, view.hasEnded || !watch {
                    if view.hasFailed { throw Terminal.Exit(code: 1) }
                    return
                }
                if !watch { return }
                await changes.wait()
            }
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Holds the rollout where it is.")
        @OptionGroup var target: Target
        func run() async throws { try await Decision.write("Pause", target, "paused") }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets a held rollout go on.")
        @OptionGroup var target: Target
        func run() async throws { try await Decision.write("Continue", target, "goes on") }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Ends the pause the rollout stands in.")
        @OptionGroup var target: Target
        @Flag(help: "Skips the rest of the ladder.") var full = false
        func run() async throws { try await Decision.write(full ? "PromoteFull" : "Promote", target, "promoted") }
    }

    struct Abort: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Goes back to the revision that had the traffic before.")
        @OptionGroup var target: Target
        func run() async throws { try await Decision.write("Abort", target, "aborted") }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Starts the ladder again after an abort or a failure.")
        @OptionGroup var target: Target
        func run() async throws { try await Decision.write("Retry", target, "started again") }
    }
}

/// What a Rollout document says, in the words of the command line.
struct RolloutView {
    static let resource = GroupResource(group: "espalier.dev", resource: "rollouts")
    let document: Document

    var landscape: String { document.spec["landscape"]?["name"]?.stringValue ?? "" }
    private var steps: [JSON] { document.spec["steps"]?.arrayValue ?? [] }
    private var step: Int { Int(document.status["step"]?.integerValue ?? 0) }
    var weight: Int64 { document.status["weight"]?.integerValue ?? 0 }
    /// Whether the attempt is over. It can begin again by the decision Retry.
    var hasEnded: Bool {
        ["Promoted", "RolledBack", "Superseded"].contains(condition("Progressing")?["reason"]?.stringValue ?? "")
    }
    private var ready: JSON? { condition("Ready") }
    var hasFailed: Bool { hasEnded && ready?["status"]?.stringValue != "True" }

    /// Why a decision would change nothing, or not what its name says; `nil` where it is one to take now.
    func reasonAgainst(_ decision: String) -> String? {
        let stands = "where it stands: \(summary)"
        switch decision {
        case "Retry": return nil
        case _ where hasEnded:
            let way = hasFailed ? "retry \(landscape)` tries it again" : "undo \(landscape)` goes back"
            return "the rollout is over; `espalier rollout \(way); \(stands)"
        case "Abort" where document.spec["from"] == nil:
            return "\(landscape) has no earlier revision to go back to: change it, or delete it; \(stands)"
        case "Promote" where step >= steps.count || steps[step]["setWeight"] != nil:
            return "no step waits for a promotion; \(stands)"
        case "PromoteFull" where step >= steps.count:
            return "no step is left to skip; \(stands)"
        default: return nil
        }
    }

    private func condition(_ type: String) -> JSON? {
        document.status["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    /// One line: which revision replaces which, how far it has come, and why it waits.
    var summary: String {
        let from = document.spec["from"]?.stringValue.map { "\($0) → " } ?? ""
        let to = document.spec["to"]?.stringValue ?? ""
        let place = steps.isEmpty || hasEnded ? "" : ", step \(min(step + 1, steps.count)) of \(steps.count)"
        let condition =
            [condition("Stalled"), condition("Progressing")].compactMap { $0 }
            .first { $0["status"]?.stringValue == "True" } ?? ready
        let message = condition?["message"]?.stringValue ?? "not looked at yet"
        // The first revision has all the traffic from the start: there is no share to tell.
        let share = from.isEmpty ? "" : ", \(weight) % of the traffic"
        return "\(document.name): \(from)\(to)\(place)\(share): \(message)"
    }

    /// The newest rollout of a landscape: attempts are counted in a label. Age and name decide between those without.
    static func newest(_ all: some Sequence<RolloutView>, of landscape: String) -> RolloutView? {
        all.filter { $0.landscape == landscape }.max {
            ($0.attempt, $0.document.creationTimestamp, $0.document.name.count, $0.document.name)
                < ($1.attempt, $1.document.creationTimestamp, $1.document.name.count, $1.document.name)
        }
    }

    private var attempt: Int { document.labels["espalier.dev/attempt"].flatMap(Int.init) ?? 0 }
}

/// How far a landscape's loop has come with what is declared now, from the changes of landscapes and rollouts.
struct LandscapeProgress {
    static let resource = GroupResource(group: "espalier.dev", resource: "landscapes")
    let name: String
    private(set) var landscape: Document?
    private var rollouts: [String: RolloutView] = [:]

    init(name: String) { self.name = name }

    mutating func on(_ event: WatchEvent) {
        let document = event.kind == .deleted ? nil : event.document
        if event.resource == Self.resource {
            if event.document.name == name { landscape = document }
        } else {
            rollouts[event.document.name] = document.map(RolloutView.init)
        }
    }

    /// The rollout that brings live what the landscape declares; `nil` while the loop has not looked at that yet, so
    /// that the end of an earlier rollout is not taken for the end of this one.
    var rollout: RolloutView? {
        guard let landscape, landscape.status["observedGeneration"]?.integerValue == landscape.generation,
            let current = landscape.status["rollout"]?["name"]?.stringValue
        else { return nil }
        return rollouts[current]
    }

    /// Why there is no rollout to speak of.
    static func waiting(_ landscape: Document) -> String {
        let troubled = (landscape.status["conditions"]?.arrayValue ?? []).first { condition in
            condition["type"]?.stringValue == "ResolvedRefs" && condition["status"]?.stringValue == "False"
        }
        let why = troubled?["message"]?.stringValue ?? "generation \(landscape.generation) was not looked at yet"
        return "\(landscape.name): \(why)"
    }
}

/// Writing a person's decision about a rollout.
enum Decision {
    static func write(_ decision: String, _ target: RolloutCommand.Target, _ outcome: String) async throws {
        let session = try target.connection.open()
        let all = try await session.client.list(
            RolloutView.resource, namespace: session.namespace, options: ListOptions())
        guard let view = RolloutView.newest(all.items.map(RolloutView.init), of: target.name) else {
            throw APIError.badRequest("landscape \"\(target.name)\" has no rollout in namespace \(session.namespace)")
        }
        if let reason = view.reasonAgainst(decision) { throw APIError.badRequest(reason) }
        var spec: JSON = ["decision": .string(decision)]
        if decision == "Promote" { spec["decisionStep"] = view.document.status["step"] ?? 0 }
        let key = ObjectKey(RolloutView.resource, namespace: session.namespace, name: view.document.name)
        _ = try await session.client.patch(
            key, .merge(["spec": spec]), subresource: nil, options: WriteOptions(fieldManager: "espalier"))
        Terminal.print("rollout.espalier.dev/\(view.document.name) \(outcome)")
    }
}

extension Session {
    var watchOptions: WatchOptions {
        var options = WatchOptions(visibility: .durable)
        options.namespace = namespace
        return options
    }
}
