internal import Glibc
package import Seams

/// The `nft` command of nftables.
package struct PacketFilterTool: Sendable {
    private let path: String
    private let spawner: any ProcessSpawner

    /// `nil` where there is no such command.
    package init?(spawner: any ProcessSpawner) {
        let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/bin/nft"]
        guard let path = places.first(where: { StateFiles.exists($0) }) else { return nil }
        self.path = path
        self.spawner = spawner
    }

    /// Carries out all of `text` or nothing of it.
    package func apply(_ text: String) async throws(ProcessError) {
        // A file without a name: rules of many pods are more than a socket takes at once.
        var template = Array("/run/espalier-rules-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else {
            throw ProcessError(message: "no file for rules in /run: \(systemMessage(errno))", number: errno)
        }
        unlink(template)
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw ProcessError(message: "cannot write rules: \(systemMessage(errno))", number: errno)
            }
            rest = rest.dropFirst(count)
        }
        lseek(file, 0, SEEK_SET)
        try await run(["-f", "/dev/fd/3"], file: file)
    }

    /// The names of the tables of family `inet`.
    package func tables() async throws(ProcessError) -> [String] {
        try await run(["list", "tables", "inet"]).split(separator: "\n").compactMap { line in
            line.split(separator: " ").last.map(String.init)
        }
    }

    package func has(table: String, chain: String) async -> Bool {
        // Whatever the reason that it cannot be seen.
        (try? await run(["-t", "list", "chain", "inet", table, chain])) != nil
    }

    @discardableResult
    private func run(_ arguments: [String], file: Int32 = -1) async throws(ProcessError) -> String {
        let launch = ProcessLaunch(
            path: path, arguments: ["nft"] + arguments, environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin"],
            descriptors: [-1, -1, -1, file])
        let result = try await spawner.run(launch, input: [], timeout: Limits.commandTimeout)
        guard result.code == 0 else {
            throw ProcessError(message: "nft answered \(result.code): \(result.text.prefix(2000))")
        }
        return result.text
    }
}
