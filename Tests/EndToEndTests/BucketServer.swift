import Glibc

/// An S3-compatible server that checks signatures: `hack/lib/bucket_server.py` in a Python that `hack/install-moto` names.
final class BucketServer {
    let url: String
    let accessKey: String
    let secretKey: String
    private let process: pid_t
    private let folder: String
    private var hasEnded = false

    static var canRun: Bool { Command.environment("MOTO_PYTHON") != nil && RunningServer.canRun }

    init() throws {
        folder = try Command.makeFolder("bucket")
        let python = Command.environment("MOTO_PYTHON") ?? "python3"
        let script = "\(RunningServer.repository)/hack/lib/bucket_server.py"
        process = try Command.start(
            [python, script], environment: ["PATH": Command.environment("PATH") ?? ""], directory: folder,
            output: "\(folder)/line", error: "\(folder)/errors")
        _ = try Command.run(
            ["timeout", "60", "bash", "-c", "grep -q . < <(exec tail -q -n +1 -f --pid=\(process) line)"],
            environment: ["PATH": Command.environment("PATH") ?? ""], directory: folder, scratch: folder)
        let words = Command.read("\(folder)/line").split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 3 else {
            throw Command.Failure(description: "no bucket server:\n\(Command.read("\(folder)/errors"))")
        }
        url = "http://127.0.0.1:\(words[0])"
        (accessKey, secretKey) = (words[1], words[2])
    }

    var environment: [String: String] { ["AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey] }

    func stop() {
        if hasEnded { return }
        hasEnded = true
        // It inherits blocked signals from the tests, and does nothing about that.
        kill(process, SIGKILL)
        Command.wait(process)
        Command.removeFolder(folder)
    }
}
