internal import ArgumentParser
internal import Client
internal import Documents
internal import Seams

/// Waits until documents are as somebody wants them.
struct WaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until documents are in a condition, or gone.",
        discussion: """
            Examples: `wait --for=condition=Ready landscape/shop`, `wait --for=jsonpath='{.status.weight}'=10 rollout/shop-2`, \
            `wait --for=delete pod/a --timeout=1m`.
            """)

    @Argument(help: "TYPE NAME ... or TYPE/NAME ...") var what: [String]
    @Option(
        name: .customLong("for"),
        help: "condition=NAME[=STATUS], jsonpath='{PATH}'[=VALUE], create or delete.",
        transform: WaitGoal.init(parsing:))
    var goal: WaitGoal
    @Option(help: "How long at most for each, such as 30s or 1h; 0 looks once.", transform: WaitCommand.duration)
    var timeout = Duration.seconds(30)
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        var failed = false
        for selection in try await Selection.parse(what, session) {
            if selection.names.isEmpty { throw ValidationError("expected the names of the documents to wait for") }
            for name in selection.names {
                let information = selection.resource.information
                if try await reaches(information, name, session) {
                    Terminal.print("\(ApplyCommand.name(information, name)) condition met")
                } else {
                    let plural = information.resource.resource
                    Terminal.complain("error: timed out waiting for the condition on \(plural)/\(name)")
                    failed = true
                }
            }
        }
        if failed { throw Terminal.Exit(code: 1) }
    }

    /// True once the document is as it should be, false when the time is over.
    private func reaches(_ information: ResourceInformation, _ name: String, _ session: Session) async throws -> Bool {
        let clock = SystemClock()
        let deadline = clock.monotonic() + timeout
        var options = WatchOptions(visibility: .durable)
        options.namespace = session.namespace(for: information)
        let changes = try await session.client.watch([information.resource], options: options)
        defer { changes.cancel() }
        var document: Document?
        var isFirst = true
        while true {
            for event in try changes.poll() where event.document.name.isSameBytes(as: name) {
                document = event.kind == .deleted ? nil : event.document
            }
            if goal.isReached(by: document) { return true }
            if isFirst, document == nil, goal != .exists { throw APIError.notFound(information.resource, name) }
            isFirst = false
            let rest = deadline - clock.monotonic()
            if rest <= .zero { return false }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await changes.wait() }
                group.addTask { try? await clock.sleep(for: rest) }  // throws only when the other was first
                await group.next()
                group.cancelAll()
            }
        }
    }

    static func duration(_ text: String) throws -> Duration {
        if text == "0" { return .zero }
        guard let duration = GatewayDuration.parse(text) else {
            throw ValidationError("expected a time such as 30s, 5m or 1h30m, found \"\(text)\"")
        }
        return duration
    }
}

/// What is waited for, in the words of `kubectl wait --for`.
enum WaitGoal: Equatable, Sendable {
    case condition(type: String, status: String)
    /// `value` is `nil` where it is enough that something is there.
    case path(String, value: String?)
    case exists
    case isGone

    init(parsing text: String) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0].lowercased(), parts.count > 1 ? parts[1] : "") {
        case ("delete", ""): self = .isGone
        case ("create", ""): self = .exists
        case ("condition", let rest) where !rest.isEmpty:
            let named = rest.split(separator: "=", maxSplits: 1).map(String.init)
            self = .condition(type: named[0], status: named.count > 1 ? named[1] : "true")
        case ("jsonpath", let rest) where !rest.isEmpty:
            let end = rest.lastIndex(of: "}").map { rest.index(after: $0) } ?? rest.endIndex
            let tail = rest[end...]
            let path = String(rest[..<end])
            guard tail.isEmpty || tail.hasPrefix("="), tail != "=", (try? JSONPath(parsing: path)) != nil else {
                throw ValidationError("expected jsonpath='{PATH}' or jsonpath='{PATH}'=VALUE, found \"\(text)\"")
            }
            self = .path(path, value: tail.isEmpty ? nil : String(tail.dropFirst()))
        default:
            throw ValidationError(
                "expected condition=NAME, jsonpath='{PATH}'=VALUE, create or delete, found \"\(text)\"")
        }
    }

    func isReached(by document: Document?) -> Bool {
        switch self {
        case .isGone: return document == nil
        case .exists: return document != nil
        case .condition(let type, let status):
            let conditions = document?.json["status"]?["conditions"]?.arrayValue ?? []
            return conditions.contains {
                $0["type"]?.stringValue?.lowercased() == type.lowercased()
                    && $0["status"]?.stringValue?.lowercased() == status.lowercased()
            }
        case .path(let path, let value):
            guard let document, let values = try? JSONPath(parsing: path).values(in: document.json),
                let found = values.first
            else { return false }
            return value.map { $0.isSameBytes(as: found.stringValue ?? found.text()) } ?? true
        }
    }
}
