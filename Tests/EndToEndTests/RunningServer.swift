import Glibc

/// The real server on a data directory of its own, with the real kubectl and curl before it.
final class RunningServer {
    let folder: String
    let url: String
    private let process: pid_t
    private var hasEnded = false
    private let token: String

    static var repository: String {
        #filePath.split(separator: "/", omittingEmptySubsequences: false).prefix { $0 != "Tests" }.joined(
            separator: "/")
    }

    /// The binary under test, where there is one.
    static var binary: String? {
        [Command.environment("ESPALIER"), "\(repository)/.build/debug/espalier"].compactMap { $0 }.first {
            access($0, X_OK) == 0
        }
    }
    static var kubectl: String? { Command.environment("KUBECTL") ?? Command.find("kubectl") }

    static var canRun: Bool {
        binary != nil && kubectl != nil
            && ["bash", "curl", "jq", "perl", "timeout"].allSatisfy { Command.find($0) != nil }
    }

    init(arguments: [String] = [], extra: [String: String] = [:]) throws {
        guard let binary = Self.binary, let kubectl = Self.kubectl else {
            throw Command.Failure(description: "nothing to test")
        }
        folder = try Command.makeFolder("test")
        process = try Command.start(
            [
                binary, "serve", "--data-dir", "\(folder)/data", "--listen", "127.0.0.1:0", "--gateway-listen",
                "127.0.0.1:0",
            ] + arguments,
            environment: extra.merging(["PATH": Command.environment("PATH") ?? ""]) { $1 }, directory: folder,
            output: "\(folder)/log",
            error: "\(folder)/errors")
        // tail ends with the server, should that not come up.
        let served = try Command.run(
            [
                "timeout", "60", "bash", "-c",
                "grep -q 'the API is served' < <(exec tail -q -n +1 -f --pid=\(process) log errors)",
            ], environment: ["PATH": Command.environment("PATH") ?? ""], directory: folder, scratch: folder)
        let text = Command.read("\(folder)/data/kubeconfig")
        func value(_ name: String) -> String {
            text.split(separator: "\n").first { $0.contains("\(name): ") }?.split(separator: " ").last.map(String.init)
                ?? ""
        }
        url = value("server")
        token = value("token")
        if served.exit != 0 || url.isEmpty {
            throw Command.Failure(description: "the server did not come up:\n\(Command.read("\(folder)/errors"))")
        }
        mkdir("\(folder)/bin", 0o700)
        try Command.write(text.replacing("namespace: default", with: "namespace: demo"), to: "\(folder)/kubeconfig")
        symlink(kubectl, "\(folder)/bin/kubectl")
        try Command.write(curl, to: "\(folder)/bin/curl", mode: 0o755)
    }

    /// Ends the server and leaves what it wrote.
    func end() {
        if hasEnded { return }
        hasEnded = true
        kill(process, SIGTERM)
        Command.wait(process)
    }

    func stop() {
        end()
        Command.removeFolder(folder)
    }

    var environment: [String: String] {
        [
            "PATH": "\(folder)/bin:\(Command.environment("PATH") ?? "")", "KUBECONFIG": "\(folder)/kubeconfig",
            "HOME": folder,
            "S": url, "W": "\(url)/apis/example.com/v1/namespaces/demo/widgets",
            "C": "\(url)/api/v1/namespaces/demo/configmaps",
            "TMPDIR": "/tmp",
        ]
    }

    var normalisation: Normalisation { Normalisation(port: url.split(separator: ":").last.map(String.init) ?? "") }

    /// Runs a line of bash as a person at this server would.
    func shell(_ script: String, directory: String? = nil) throws -> Command.Result {
        try Command.run(
            ["timeout", "60", "bash", "-c", script], environment: environment, directory: directory ?? folder,
            scratch: folder)
    }

    func start(_ script: String, directory: String) throws -> pid_t {
        try Command.start(
            ["bash", "-c", script], environment: environment, directory: directory, output: "/dev/null",
            error: "/dev/null")
    }

    /// curl as the transcripts have it: credentials added, status and a few headers printed before the body.
    private var curl: String {
        let real = Command.find("curl") ?? "curl"
        return """
            #!/usr/bin/env bash
            set -u
            arguments=() credentials=(-H "Authorization: Bearer \(token)") skip=
            for argument in "$@"; do
              if [ "$argument" = -o ]; then skip=1; continue; fi
              if [ -n "$skip" ]; then skip=; continue; fi
              case "$argument" in Authorization:*) credentials=() ;; esac
              arguments+=("$argument")
            done
            headers=$(mktemp) body=$(mktemp)
            trap 'rm -f "$headers" "$body"' EXIT
            \(real) -sS --cacert \(folder)/data/pki/ca.crt "${credentials[@]}" -D "$headers" -o "$body" "${arguments[@]}"
            code=$?
            perl -ne 's/\\r?\\n//; $h{n}="HTTP $1" if m{^HTTP/\\S+ (\\d+)}; @l=() if m{^HTTP/};
              push @l, lc($1).": $2" if /^(allow|cache-control|content-type|etag|location|retry-after|vary|warning|www-authenticate): (.*)/i;
              END { if ($h{n}) { print "$h{n}\\n", map({ "$_\\n" } sort @l), "\\n" } }' "$headers"
            cat "$body"
            exit $code

            """
    }
}
