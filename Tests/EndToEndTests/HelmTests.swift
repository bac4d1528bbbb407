import Testing

/// Helm itself, called as a library, with a chart of many kinds.
@Suite(.serialized) struct HelmTests {
    private static let sharedObject = Command.environment("HELM_LIBRARY") ?? ""

    static var canRun: Bool {
        RunningServer.binary != nil && !sharedObject.isEmpty
            && ["python3", "timeout"].allSatisfy { Command.find($0) != nil }
    }

    @Test(.enabled(if: canRun, "needs HELM_LIBRARY=$(hack/install-helm)"), arguments: ["Life", "Applied"])
    func aChartLivesItsLife(part: String) throws {
        let script = "\(RunningServer.repository)/hack/lib/helm_client.py"
        let scratch = try Command.makeFolder("helm")
        defer { Command.removeFolder(scratch) }
        let ran = try Command.run(
            ["timeout", "-k", "90", "200", "python3", script, RunningServer.binary ?? "", part],
            environment: [
                "PATH": Command.environment("PATH") ?? "", "HELM_LIBRARY": Self.sharedObject, "HOME": scratch,
                "TMPDIR": "/tmp",
            ], directory: scratch, scratch: scratch)
        #expect(ran.exit == 0, "\(ran.output)\(ran.error)")
        #expect(ran.error.contains("\nOK\n"), "no test ran: \(ran.error)")
    }
}
