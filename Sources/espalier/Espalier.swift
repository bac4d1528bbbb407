internal import APIServer
internal import ArgumentParser
internal import Documents
internal import Glibc
internal import Seams
internal import Store

/// The command line. Every subcommand is a file in `Commands/`.
///
/// Exit codes: 0 done, 1 failed (or different, or wrong, where a command asks that), 2 not understood.
@main
struct Espalier: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "espalier",
        abstract:
            "A self-hosted cloud platform in one binary: declare a Landscape, and it runs, is reachable, and rolls out.",
        version: "espalier \(VersionCommand.current)",
        subcommands: [
            ApplyCommand.self, GetCommand.self, DescribeCommand.self, DiffCommand.self, DeleteCommand.self,
            LogsCommand.self, PatchCommand.self, WaitCommand.self,
            RolloutCommand.self, StatusCommand.self, StoreCommand.self, ServeCommand.self, OperateCommand.self,
            GatewayCommand.self,
            VersionCommand.self,
        ])

    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Glibc.exit(explain(error))
        }
    }

    /// Says on standard error what went wrong, and answers the exit code.
    private static func explain(_ error: any Error) -> Int32 {
        switch error {
        case let ended as Terminal.Exit: return ended.code
        case let refused as APIError:
            Terminal.complain("error: \(refused.message)")
            if [.serviceUnavailable, .unauthorized].contains(refused.reason) {
                Terminal.complain(
                    "hint: --data-dir, --kubeconfig or $KUBECONFIG say which server is asked, and as whom")
            }
        case let damaged as YAMLError: Terminal.complain("\(damaged)")
        case is Files.Failure, is StoreError, is FileError, is PrivateFile.Failure: Terminal.complain("error: \(error)")
        default:
            // Help and version are errors to the argument parser, with exit code 0; its usage errors end with 64.
            let code = exitCode(for: error).rawValue
            let message = fullMessage(for: error)
            if code == 0 { Terminal.print(message) } else { Terminal.complain(message) }
            return code == 64 ? 2 : code
        }
        return 1
    }
}
