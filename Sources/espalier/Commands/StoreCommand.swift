internal import ArgumentParser
internal import Client
internal import Seams
internal import Store

/// `espalier store`: what an operator does with the store itself.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check, copy, restore and seal the store of a data directory.",
        subcommands: [
            StoreVerifyCommand.self, StoreSnapshotCommand.self, StoreRestoreCommand.self, StoreExportCommand.self,
            StoreKeysCommand.self, StoreRotateKeyCommand.self, StoreResealCommand.self,
        ])
}

/// `espalier store verify`
struct StoreVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks every file of the store against every other. Ends with 1 where something is wrong.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        switch try options.holder() {
        case .server(let client):
            let verdict = try await StoreOptions.relay(client, "verify")
            if verdict != StoreVerification.Report.noProblems { throw Terminal.Exit(code: 1) }
        case .nobody(let lock):
            defer { lock.release() }
            let report = StoreVerification.run(
                data: options.dataDir, fileSystem: LinuxFileSystem(), keys: try await options.keys.load())
            for line in report.lines { Terminal.print(line) }
            if !report.problems.isEmpty { throw Terminal.Exit(code: 1) }
        }
    }
}

/// `espalier store keys`
struct StoreKeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Lists the sealing keys, how many values each seals, and which may be removed.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        let rows: [[String]]
        switch try options.holder() {
        case .server(let client):
            let answer = try await client.request("GET", "/debug/store/keys", accept: "text/plain")
            if answer.status != 200 { throw Files.Failure(description: String(decoding: answer.body, as: UTF8.self)) }
            let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
            rows = lines.map { $0.split(separator: "\t").map(String.init) }
        case .nobody(let lock):
            rows = try await options.withStore(lock) { await options.keys.maintenance(of: $0, sealed: []).keys() }
        }
        for line in TextTable(header: StoreMaintenance.keyHeader, rows: rows).lines() { Terminal.print(line) }
    }
}

/// `espalier store rotate-key`
struct StoreRotateKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key",
        abstract: "Makes the next sealing key, uses it, and rewrites what older keys sealed.",
        discussion: """
            May be killed at any step and run again; a server that starts goes on with it. Keep the older key until \
            `espalier store keys` calls it removable. With --key-command, let the command print the next key first.
            """)

    @OptionGroup var options: StoreOptions

    func run() async throws {
        switch try options.holder() {
        case .server(let client):
            if try await StoreOptions.relay(client, "rotate-key", method: "POST") != "done" {
                throw Terminal.Exit(code: 1)
            }
        case .nobody(let lock):
            Terminal.print(
                try await options.withStore(lock) { store in
                    try await options.keys.maintenance(of: store, sealed: []).rotateKey()
                })
        }
    }
}

/// `espalier store reseal`
struct StoreResealCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reseal", abstract: "Rewrites every document that is not sealed as configured.",
        discussion: "A running server goes by its own --seal; without one, this command's counts.")

    @OptionGroup var options: StoreOptions
    @Option(help: "What to seal besides secrets, such as configmaps,landscapes.espalier.dev.") var seal = ""

    func validate() throws { _ = try SealedResources.parse(seal) }

    func run() async throws {
        switch try options.holder() {
        case .server(let client):
            if try await StoreOptions.relay(client, "reseal", method: "POST") != "done" { throw Terminal.Exit(code: 1) }
        case .nobody(let lock):
            let sealed = try SealedResources.parse(seal)
            Terminal.print(
                try await options.withStore(lock) { store in
                    try await options.keys.maintenance(of: store, sealed: sealed).reseal()
                })
        }
    }
}
