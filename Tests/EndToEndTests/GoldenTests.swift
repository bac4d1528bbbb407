import Documents
import Glibc
import Testing

/// The transcripts that were recorded with the real kubectl against a real API server, run against this one.
@Suite(.serialized) struct GoldenTests {
    private static let golden = "\(RunningServer.repository)/Tests/Golden"

    /// Steps that answer otherwise here, and why: `case | beginning of the command | reason`.
    private static func knownDifferences() -> [(name: String, command: String)] {
        Command.read("\(golden)/known-differences.txt").split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "|", maxSplits: 2).map { $0.trimmingSpaces() }
            return line.hasPrefix("#") || parts.count < 3 ? nil : (parts[0], parts[1])
        }
    }

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

    @Test(.enabled(if: RunningServer.canRun, "needs a built espalier, kubectl 1.32, curl, jq and perl"))
    func answersAsRecorded() throws {
        let server = try RunningServer()
        defer { server.stop() }
        let ready = try server.shell("""
            kubectl create ns demo && kubectl apply --server-side -f \(Self.golden)/crd.yaml \
            && kubectl wait --for=condition=Established crd/widgets.example.com
            """)
        try #require(ready.exit == 0, "\(ready.error)")
        let known = Self.knownDifferences()
        let listing = try server.shell("ls \(Self.golden)/cases")
        let wanted = Command.environment("GOLDEN")
        var steps = 0
        var different = 0
        for file in listing.output.split(separator: "\n") where wanted == nil || file.contains(wanted ?? "") {
            let name = String(file.prefix { $0 != "." })
            _ = try server.shell(Self.cleaning)
            if let preparation = Self.preparations[name] { _ = try server.shell(preparation) }
            let text = Command.read("\(Self.golden)/cases/\(file)")
            for step in GoldenCase(name: name, text: text).steps {
                steps += 1
                guard let found = try differing(step, server) else { continue }
                if known.contains(where: { $0.name == name && step.command.hasPrefix($0.command) }) {
                    different += 1
                    continue
                }
                Issue.record("\(name): $ \(step.command)\n\(Self.comparison(step, found))")
            }
        }
        print("golden transcripts: \(steps) steps, \(different) known to differ")
    }

    /// What a step printed, where it is not what was recorded. Asks again where a controller may need a moment.
    private func differing(_ step: GoldenCase.Step, _ server: RunningServer) throws -> (lines: [String], exit: Int32)? {
        let normalisation = Normalisation(port: server.url.split(separator: ":").last.map(String.init) ?? "")
        let folder = "\(server.folder)/work"
        mkdir(folder, 0o700)
        var found: (lines: [String], exit: Int32) = ([], 0)
        for attempt in 0..<3 {
            let background = try step.background.map { try server.start("sleep \($0.delay); \($0.command)", directory: folder) }
            let result = try server.shell(step.command, directory: folder)
            if let background { Command.wait(background) }
            found = (normalisation.lines(result), result.exit)
            if found.exit == step.exit, normalisation.isSame(step.expected, found.lines) { return nil }
            if !step.command.hasPrefix("kubectl get") || attempt == 2 { break }
            usleep(300_000)
        }
        return (found.lines.map(normalisation.normalised), found.exit)
    }

    private static func comparison(_ step: GoldenCase.Step, _ found: (lines: [String], exit: Int32)) -> String {
        func block(_ lines: [String]) -> String { lines.prefix(60).map { "    \($0.prefix(300))" }.joined(separator: "\n") }
        return "  recorded (exit \(step.exit)):\n\(block(step.expected))\n  here (exit \(found.exit)):\n\(block(found.lines))"
    }
}

extension Substring {
    func trimmingSpaces() -> String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
