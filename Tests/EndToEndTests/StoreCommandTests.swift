import Glibc
import Testing

/// `espalier store` against the real server, and against what it leaves.
@Suite(.serialized) struct StoreCommandTests {
    private func store(_ server: RunningServer, _ command: String, exit: Int32 = 0) throws -> String {
        let result = try server.shell("\(RunningServer.binary ?? "espalier") store \(command)")
        #expect(result.exit == exit, "store \(command): \(result.output)\(result.error)")
        return result.output + result.error
    }

    private static let verdict = "no problems found\n"

    @Test(.enabled(if: RunningServer.canRun))
    func aStoreIsCheckedSealedCopiedAndRestored() throws {
        let server = try RunningServer()
        defer { server.stop() }
        let made = try server.shell("kubectl create secret generic pass --from-literal=word=canary-88 -n default")
        #expect(made.exit == 0, "\(made.error)")
        #expect(try store(server, "verify --data-dir data").hasSuffix(Self.verdict))

        // The next key is used at once, and for what was sealed before.
        #expect(try store(server, "rotate-key --data-dir data").contains("key 2 seals from now on"))
        let keys = try store(server, "keys --data-dir data").split(separator: "\n").map(String.init)
        #expect(keys.count == 3)
        #expect(keys.last?.hasPrefix("2 ") == true && keys.last?.hasSuffix("seals") == true, "\(keys)")
        #expect(keys.dropFirst().first?.hasSuffix("opens") == true, "the log still needs key 1: \(keys)")

        #expect(try store(server, "snapshot --data-dir data --to copy.snapshot").contains("documents at revision"))
        let canary = "grep -c canary-88 copy.snapshot; grep -c \(Self.base64) copy.snapshot"
        #expect(try server.shell(canary).output == "0\n0\n")
        #expect(try store(server, "export --data-dir data -o yaml").contains("word: \(Self.base64)"))

        server.end()
        #expect(try store(server, "verify --data-dir data").hasSuffix(Self.verdict))
        let lost = try store(server, "restore --from copy.snapshot --data-dir lost", exit: 1)
        #expect(lost.contains("sealing key 2 is missing"), "\(lost)")
        #expect(try store(server, "restore --from copy.snapshot --data-dir data", exit: 1).contains("is not empty"))
        let restored = try store(server, "restore --from copy.snapshot --data-dir new --keys-dir data/keys")
        #expect(restored.contains("begins at revision"))
        #expect(try store(server, "verify --data-dir new --keys-dir data/keys").hasSuffix(Self.verdict))
        let export = "export --keys-dir data/keys --data-dir"
        let both = try (store(server, "\(export) data"), store(server, "\(export) new"))
        func secret(_ lines: String) -> Substring? { lines.split(separator: "\n").first { $0.contains(Self.base64) } }
        #expect(secret(both.0) != nil)
        #expect(secret(both.0) == secret(both.1), "the document is as it was, its resourceVersion too")
    }

    private static let base64 = "Y2FuYXJ5LTg4"

    @Test(.enabled(if: RunningServer.canRun))
    func whatIsConfiguredIsSealed() throws {
        let server = try RunningServer(arguments: ["--seal", "configmaps"])
        defer { server.stop() }
        #expect(try server.shell("kubectl create configmap kept --from-literal=word=canary-66 -n default").exit == 0)
        #expect(try server.shell("kubectl create serviceaccount seen-66 -n default").exit == 0)
        #expect(try server.shell("grep -rc canary-66 data/log").output.hasSuffix(":0\n"))
        #expect(try !server.shell("grep -rc seen-66 data/log").output.hasSuffix(":0\n"), "what is written is found")
        #expect(try server.shell("kubectl get configmap kept -n default -o yaml").output.contains("canary-66"))
        let count =
            try server.shell("kubectl get configmaps -A --no-headers | wc -l").output
            .split(whereSeparator: \.isNewline).first ?? ""
        server.end()
        // Back to what is sealed always.
        #expect(try store(server, "reseal --data-dir data").contains("\(count) documents rewritten"))
        #expect(try !server.shell("grep -rc canary-66 data/log").output.hasSuffix(":0\n"))
    }

    @Test(.enabled(if: RunningServer.canRun))
    func keysComeFromACommand() throws {
        let digits = String(repeating: "0a", count: 32)
        let file = "/tmp/espalier-keys-\(getpid())"
        try Command.write("espalier-key-2 7 - \(digits)\n", to: file)
        defer { unlink(file) }
        let server = try RunningServer(arguments: ["--key-command", "cat \(file)"])
        defer { server.stop() }
        let command = "--data-dir data --key-command 'cat \(file)'"
        #expect(try server.shell("kubectl create secret generic pass --from-literal=a=b -n default").exit == 0)
        #expect(try store(server, "keys \(command)").contains("\n7     unknown   1"))
        #expect(try server.shell("ls data/keys").output == "revisions.secret\n")
        let none = try store(server, "rotate-key \(command)", exit: 1)
        #expect(none.contains("there is no key after 7"), "\(none)")
        try Command.write("espalier-key-2 7 - \(digits)\nespalier-key-2 8 - \(digits.dropFirst())a\n", to: file)
        #expect(try store(server, "rotate-key \(command)").contains("key 8 seals from now on; 1 documents rewritten"))
        server.end()
        #expect(try store(server, "verify \(command)").hasSuffix(Self.verdict))
        #expect(try store(server, "export \(command)").contains("\"a\":\"Yg==\""))
        let lost = try store(server, "verify --data-dir data", exit: 1)
        #expect(lost.contains("sealing key 7 is missing"), "\(lost)")
        let silent = try store(server, "verify --data-dir data --key-command false", exit: 1)
        #expect(silent.contains("the key command false ended with code 1"), "\(silent)")
    }

    @Test(.enabled(if: RunningServer.canRun))
    func aLostDiskIsRestoredFromItsCopy() throws {
        let server = try RunningServer(arguments: ["--replicate-to", "replica"])
        defer { server.stop() }
        #expect(try server.shell("kubectl create configmap kept --from-literal=word=canary-99 -n default").exit == 0)
        // Until the copy says it is complete, for at most five seconds.
        let wait =
            "for i in $(seq 50); do curl $S/metrics | grep -q '^espalier_replica_behind_seconds 0' && "
            + "grep -q canary-99 replica/* && exit 0; sleep 0.1; done; exit 1"
        #expect(try server.shell(wait).exit == 0)
        server.end()
        #expect(try server.shell("cp -r data/keys keys && rm -rf data/log").exit == 0)
        let restored = try store(server, "restore --from replica --data-dir new --keys-dir keys")
        #expect(restored.contains("begins at revision"))
        #expect(try store(server, "verify --data-dir new --keys-dir keys").hasSuffix(Self.verdict))
        #expect(try store(server, "export --data-dir new --keys-dir keys").contains("canary-99"))
    }

    @Test(.enabled(if: RunningServer.canRun))
    func damageIsFoundWithItsPlace() throws {
        let server = try RunningServer()
        defer { server.stop() }
        server.end()
        let flip = "printf X | dd of=$(ls data/log/*.log) bs=1 seek=700 conv=notrunc status=none"
        #expect(try server.shell(flip).exit == 0)
        let report = try store(server, "verify --data-dir data", exit: 1)
        #expect(report.contains(".log, byte 512:"), "\(report)")
        #expect(report.contains("1 problems found"))
        #expect(try store(server, "verify --data-dir nothing", exit: 1).contains("holds no store"))
        let missing = try store(server, "snapshot --data-dir data --to copy --at 9999", exit: 1)
        #expect(missing.contains("is damaged at byte 512"), "\(missing)")
        #expect(try server.shell("ls copy*").output == "", "nothing half done is left")
    }

    @Test(.enabled(if: RunningServer.canRun))
    func theStoreIsBehindTheSameDoorAsEverything() throws {
        let server = try RunningServer()
        defer { server.stop() }
        for (method, path) in [
            ("GET", "verify"), ("GET", "snapshot"), ("GET", "export"), ("GET", "keys"), ("POST", "reseal"),
        ] {
            let bare = try server.shell("curl -X \(method) -H 'Authorization: Bearer wrong' $S/debug/store/\(path)")
            #expect(bare.output.contains("HTTP 401"), "\(path): \(bare.output)")
            let other = try server.shell("curl -X \(method) -H 'Impersonate-User: eve' $S/debug/store/\(path)")
            #expect(other.output.contains("HTTP 403"), "\(path): \(other.output)")
        }
        #expect(try server.shell("curl -X DELETE $S/debug/store/verify").output.contains("HTTP 405"))
        #expect(try server.shell("curl $S/debug/store/nothing").output.contains("HTTP 404"))
    }
}
