import Documents
import Glibc
import Synchronization
import Testing

/// The transcripts that were recorded with the real kubectl against a real API server, run against this one.
@Suite(.serialized) struct GoldenTests {
    private static let golden = "\(RunningServer.repository)/Tests/Golden"

    private static let known = KnownDifferences(parsing: Command.read("\(golden)/known-differences.txt"))

    /// Each has a server of its own; the processes of a step use one processor at a time, and some only wait.
    private static let runs = 3

    private static let preparations = [
        "32-http-table-partial": """
        echo '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a1","labels":{"g":"x"}},"spec":{"color":"Red"}}' \
        | kubectl create -f -
        echo '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a2"},"spec":{"color":"Blue","size":60}}' \
        | kubectl create -f -
        """,
        "33-http-list-watch": """
        for name in a1 a2 a3; do
          echo '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"'$name'"},"spec":{"color":"Red"}}' \
          | kubectl create -f -
        done
        """,
    ]

    private static let cleaning = """
        kubectl delete widgets,configmaps,secrets,events,roles,rolebindings -n demo --all --wait=false
        for widget in $(kubectl get widgets -n demo -o name); do
          kubectl patch $widget -n demo --type=merge -p '{"metadata":{"finalizers":null}}'
        done
        accounts=$(kubectl get sa -n demo -o name | grep -v /default) && kubectl delete -n demo $accounts --wait=false
        true
        """

    /// What was found in one case.
    private struct Findings: Sendable {
        var steps = 0
        var different = 0
        /// Entries of the list of known differences of which a step differed.
        var confirmed: Set<String> = []
    }

    @Test(.enabled(if: RunningServer.canRun, "needs a built espalier, kubectl 1.32, curl, jq and perl"))
    func answersAsRecorded() async throws {
        let wanted = Command.environment("GOLDEN") ?? ""
        let names = try Command.files(in: "\(Self.golden)/cases").filter { wanted.isEmpty || $0.contains(wanted) }
        try #require(!names.isEmpty)
        let queue = CaseQueue(names.map { String($0.prefix { $0 != "." }) })
        var all = Findings()
        try await withThrowingTaskGroup(of: Findings.self) { group in
            for _ in 0..<min(Self.runs, names.count) {
                group.addTask { try Self.run(from: queue) }
            }
            for try await findings in group {
                all.steps += findings.steps
                all.different += findings.different
                all.confirmed.formUnion(findings.confirmed)
            }
        }
        for entry in Self.known.entries where !entry.isTiming && entry.name.contains(wanted) {
            if !all.confirmed.contains(entry.description) {
                Issue.record("known-differences.txt: no step differs any more: \(entry.description)")
            }
        }
        print("golden transcripts: \(all.steps) steps compared, \(all.different) of them known to differ")
    }

    /// Takes cases from the queue until there are no more.
    private static func run(from queue: CaseQueue) throws -> Findings {
        let server = try RunningServer()
        defer { server.stop() }
        let ready = try server.shell(
            """
            kubectl create ns demo && kubectl apply --server-side -f \(golden)/crd.yaml \
            && kubectl wait --for=condition=Established crd/widgets.example.com
            """)
        try #require(ready.exit == 0, "\(ready.error)")
        var findings = Findings()
        while let name = queue.next() { try run(name, server, &findings) }
        return findings
    }

    private static func run(_ name: String, _ server: RunningServer, _ findings: inout Findings) throws {
        _ = try server.shell(cleaning)
        if let preparation = preparations[name] { _ = try server.shell(preparation) }
        let folder = "\(server.folder)/\(name)"
        mkdir(folder, 0o700)
        let steps = GoldenCase(name: name, text: Command.read("\(golden)/cases/\(name).txt")).steps
        for step in steps {
            findings.steps += 1
            let known = known.entry(name, step, of: steps)
            guard let found = try differing(step, server, folder, attempts: known == nil ? 10 : 1) else { continue }
            if let known {
                findings.different += 1
                findings.confirmed.insert(known.description)
            } else {
                Issue.record("\(name): $ \(step.command)\n\(comparison(step, found, server.normalisation))")
            }
        }
    }

    /// What a step printed, where it is not what was recorded. Asks again where a controller may need a moment.
    private static func differing(
        _ step: GoldenCase.Step, _ server: RunningServer, _ folder: String, attempts: Int
    ) throws -> (lines: [String], exit: Int32)? {
        var found: (lines: [String], exit: Int32) = ([], 0)
        for _ in 0..<attempts {
            let background = try step.background.map {
                try server.start("sleep \($0.delay); \($0.command)", directory: folder)
            }
            let result = try server.shell(step.command, directory: folder)
            if let background { Command.wait(background) }
            found = (server.normalisation.lines(result), result.exit)
            if found.exit == step.exit, server.normalisation.isSame(step.expected, found.lines) { return nil }
            if !step.command.hasPrefix("kubectl get") { break }
        }
        return found
    }

    /// The lines that only one side has.
    private static func comparison(
        _ step: GoldenCase.Step, _ found: (lines: [String], exit: Int32), _ normalisation: Normalisation
    ) -> String {
        let recorded = step.expected.map(normalisation.normalised)
        let here = found.lines.map(normalisation.normalised)
        func only(_ lines: [String], notIn others: [String], _ mark: String) -> String {
            let counts = Dictionary(others.map { ($0, 1) }, uniquingKeysWith: +)
            var seen: [String: Int] = [:]
            let rest = lines.filter { line in
                seen[line, default: 0] += 1
                return seen[line, default: 0] > counts[line, default: 0]
            }
            return rest.prefix(60).map { "    \(mark) \($0.prefix(1000))\n" }.joined()
        }
        return "  recorded exit \(step.exit) (-), here exit \(found.exit) (+)\n\(only(recorded, notIn: here, "-"))"
            + only(here, notIn: recorded, "+")
    }
}

/// The cases nobody has taken yet.
private final class CaseQueue: Sendable {
    private let names: Mutex<ArraySlice<String>>

    init(_ names: [String]) { self.names = Mutex(names[...]) }

    func next() -> String? { names.withLock { $0.popFirst() } }
}

extension Substring {
    func trimmingSpaces() -> String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
