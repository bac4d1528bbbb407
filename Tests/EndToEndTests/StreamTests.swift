import Testing

/// kubectl exec, cp, attach, run -it, port-forward and logs -f: hack/lib/stream_client.py has what they promise.
@Suite(.serialized) struct StreamTests {
    static var canRun: Bool {
        RunningServer.canRun && ["python3", "bwrap", "timeout"].allSatisfy { Command.find($0) != nil }
    }

    @Test(.enabled(if: canRun, "needs kubectl, python3 and bubblewrap"))
    func kubectlReachesIntoPods() throws {
        let script = "\(RunningServer.repository)/hack/lib/stream_client.py"
        let scratch = try Command.makeFolder("streams")
        defer { Command.removeFolder(scratch) }
        let ran = try Command.run(
            [
                "timeout", "-k", "90", "300", "python3", script, RunningServer.binary ?? "",
                RunningServer.kubectl ?? "",
            ],
            environment: ["PATH": Command.environment("PATH") ?? "", "HOME": scratch, "TMPDIR": "/tmp"],
            directory: scratch, scratch: scratch)
        #expect(ran.exit == 0, "\(ran.output)\(ran.error)")
        #expect(ran.error.contains("\nOK\n"), "no test ran: \(ran.error)")
    }
}
