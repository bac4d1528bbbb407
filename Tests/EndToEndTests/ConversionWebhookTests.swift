import Glibc
import Testing

/// Versions of a user's kind that a webhook converts, with a webhook that is a program of its own.
@Suite(.serialized, .enabled(if: RunningServer.canRun && Command.find("python3") != nil), .timeLimit(.minutes(3)))
struct ConversionWebhookTests {
    /// A server with the webhook beside it, and the kind Site in both versions.
    private final class Sites {
        let server: RunningServer
        private let webhook: pid_t
        private let port: String

        init() throws {
            server = try RunningServer()
            let folder = server.folder
            webhook = try Command.start(
                [
                    "python3", "\(RunningServer.repository)/hack/lib/conversion_webhook.py",
                    "\(folder)/data/pki/server.crt", "\(folder)/data/pki/server.key", "\(folder)/reviews",
                ], environment: ["PATH": Command.environment("PATH") ?? ""], directory: folder,
                output: "\(folder)/port", error: "\(folder)/webhook-errors")
            _ = try server.shell("timeout 30 grep -q . < <(exec tail -q -n +1 -f --pid=\(webhook) port)")
            port = Command.read("\(folder)/port").split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
            try define(path: "/convert")
            _ = try server.shell("kubectl wait --for=condition=Established crd/sites.conv.example.com")
            _ = try server.shell("kubectl create namespace demo")
        }

        func stop() {
            kill(webhook, SIGKILL)
            Command.wait(webhook)
            server.stop()
        }

        /// (Re)writes the definition with the webhook at `path`, stored in `storage`.
        func define(path: String, storage: String = "v1", client: String? = nil) throws {
            func version(_ name: String, _ spec: String) -> String {
                """
                {name: \(name), served: true, storage: \(storage == name), schema: {openAPIV3Schema: {type: object,
                   properties: {spec: {type: object, properties: {\(spec)}}}}}}
                """
            }
            let address =
                client ?? "{url: \"https://127.0.0.1:\(port)\(path)\", caBundle: $(base64 -w0 data/pki/ca.crt)}"
            let applied = try run(
                """
                kubectl apply --server-side --force-conflicts -f - <<END
                apiVersion: apiextensions.k8s.io/v1
                kind: CustomResourceDefinition
                metadata: {name: sites.conv.example.com}
                spec:
                  group: conv.example.com
                  scope: Namespaced
                  names: {kind: Site, listKind: SiteList, plural: sites, singular: site}
                  conversion:
                    strategy: Webhook
                    webhook:
                      conversionReviewVersions: [v1]
                      clientConfig: \(address)
                  versions:
                  - \(version("v1", "host: {type: string}, port: {type: integer}"))
                  - \(version("v2", "address: {type: string}"))
                END
                """)
            #expect(applied.contains("serverside-applied"), "\(applied)")
        }

        /// What a line of bash prints, errors included.
        func run(_ script: String) throws -> String {
            let result = try server.shell(script)
            return result.output + result.error
        }

        /// The numbers of documents in the reviews since the last call, with what they were to become.
        func reviews() throws -> String { try run("cat reviews 2>/dev/null; : > reviews") }

        func create(_ name: String, _ version: String, _ spec: String) throws {
            let created = try run(
                """
                kubectl create -f - <<END
                apiVersion: conv.example.com/\(version)
                kind: Site
                metadata: {name: \(name)}
                spec: \(spec)
                END
                """)
            #expect(created == "site.conv.example.com/\(name) created\n", "\(created)")
        }

        func spec(_ name: String, _ version: String) throws -> String {
            try run("kubectl get sites.\(version).conv.example.com \(name) -o jsonpath='{.apiVersion} {.spec}'")
        }
    }

    @Test func eachVersionIsReadAndWrittenInItsOwnForm() throws {
        let sites = try Sites()
        defer { sites.stop() }
        try sites.create("a", "v1", "{host: a.example, port: 1}")
        #expect(try sites.reviews() == "")
        #expect(try sites.spec("a", "v2") == #"conv.example.com/v2 {"address":"a.example:1"}"#)
        #expect(try sites.reviews() == "v2 1\n")
        try sites.create("b", "v2", "{address: \"b.example:2\"}")
        #expect(try sites.spec("b", "v1") == #"conv.example.com/v1 {"host":"b.example","port":2}"#)
        // Patched in the form of the version the patch came in.
        _ = try sites.run(
            "kubectl patch sites.v2.conv.example.com a --type merge -p '{\"spec\":{\"address\":\"c:3\"}}'")
        #expect(try sites.spec("a", "v1") == #"conv.example.com/v1 {"host":"c","port":3}"#)
        let applied = try sites.run(
            """
            kubectl apply --server-side -f - <<END
            apiVersion: conv.example.com/v2
            kind: Site
            metadata: {name: d}
            spec: {address: "d:4"}
            END
            """)
        #expect(applied.contains("serverside-applied"), "\(applied)")
        #expect(try sites.spec("d", "v1") == #"conv.example.com/v1 {"host":"d","port":4}"#)
        // A list is one review, and labels are the webhook's to change.
        _ = try sites.reviews()
        let list = try sites.run(
            "kubectl get sites.v2.conv.example.com -o jsonpath='{range .items[*]}{.spec.address} {.metadata.labels}{\"\\n\"}{end}'"
        )
        #expect(
            list.split(separator: "\n").map { $0.prefix { $0 != " " } } == ["c:3", "b.example:2", "d:4"], "\(list)")
        #expect(list.contains(#"{"converted-from":"v1"}"#))
        #expect(try sites.reviews() == "v2 3\n")
        // Generated names stay what they were when the request is run again.
        let made = try sites.run(
            """
            kubectl create -o jsonpath='{.metadata.name} {.spec.address}' -f - <<END
            apiVersion: conv.example.com/v2
            kind: Site
            metadata: {generateName: g-}
            spec: {address: "g:7"}
            END
            """)
        #expect(made.hasPrefix("g-") && made.hasSuffix(" g:7"), "\(made)")
        // Deleted in a version it is not stored in.
        #expect(try sites.run("kubectl delete sites.v2.conv.example.com a").contains("deleted"))
        #expect(try sites.run("kubectl delete sites.v2.conv.example.com --all").contains("\"d\" deleted"))
        #expect(try sites.run("kubectl get sites.v1.conv.example.com -o name") == "")
    }

    @Test func aWatchSpeaksItsVersion() throws {
        let sites = try Sites()
        defer { sites.stop() }
        try sites.create("a", "v1", "{host: a, port: 1}")
        let seen = try sites.run(
            """
            touch events
            timeout 30 kubectl get sites.v2.conv.example.com -w --output-watch-events \\
              -o jsonpath='{.type} {.object.spec.address}{"\\n"}' >>events & watching=$!
            said() { timeout 20 grep -q -m1 "$1" < <(exec tail -q -n +1 -f events); }
            said 'ADDED a:1'
            kubectl patch sites.v1.conv.example.com a --type merge -p '{"spec":{"port":2}}' >/dev/null
            said 'MODIFIED a:2'
            kubectl delete sites.v1.conv.example.com a >/dev/null
            said 'DELETED a:2'
            kill $watching
            cat events
            """)
        #expect(seen.split(separator: "\n") == ["ADDED a:1", "MODIFIED a:2", "DELETED a:2"], "\(seen)")
    }

    @Test func whatWasStoredInAnotherVersionIsConvertedToo() throws {
        let sites = try Sites()
        defer { sites.stop() }
        try sites.create("a", "v1", "{host: a, port: 1}")
        try sites.define(path: "/convert", storage: "v2")
        try sites.create("b", "v2", "{address: \"b:2\"}")
        _ = try sites.reviews()
        #expect(try sites.spec("a", "v2") == #"conv.example.com/v2 {"address":"a:1"}"#)
        #expect(try sites.spec("b", "v2") == #"conv.example.com/v2 {"address":"b:2"}"#)
        #expect(try sites.reviews() == "v2 1\n")
        let list = "kubectl get sites.v2.conv.example.com -o jsonpath='{.items[*].spec.address}'"
        #expect(try sites.run(list) == "a:1 b:2")
        #expect(try sites.spec("a", "v1") == #"conv.example.com/v1 {"host":"a","port":1}"#)
        #expect(try sites.run("kubectl delete namespace demo --timeout=30s").contains("deleted"))
    }

    @Test func aWebhookThatFailsIsAnErrorAndNeverGarbage() throws {
        let sites = try Sites()
        defer { sites.stop() }
        try sites.create("a", "v1", "{host: a, port: 1}")
        let failed = "Error from server: conversion webhook for conv.example.com/v1, Kind=Site"
        let get = "kubectl get sites.v2.conv.example.com a -o name"
        try sites.define(path: "/refuse")
        #expect(try sites.run(get) == "\(failed) failed: not today\n")
        #expect(try sites.run("kubectl get sites.v2.conv.example.com") == "\(failed)List failed: not today\n")
        let created = try sites.run(
            """
            kubectl create -f - <<END
            apiVersion: conv.example.com/v2
            kind: Site
            metadata: {name: x}
            spec: {address: "x:1"}
            END
            """)
        #expect(
            created.contains("conversion webhook for conv.example.com/v2, Kind=Site failed: not today"), "\(created)")
        #expect(try sites.run("kubectl get sites.v1.conv.example.com -o name") == "site.conv.example.com/a\n")
        try sites.define(path: "/rename")
        #expect(
            try sites.run(get) == "\(failed) returned invalid object: must have the same name: a != another\n")
        try sites.define(path: "/garbage")
        #expect(try sites.run(get).hasPrefix("\(failed) failed: the answer cannot be read"))
        // Nobody there, a stranger there, and a service that is not there.
        try sites.define(path: "/", client: "{url: \"https://127.0.0.1:1/convert\"}")
        #expect(try sites.run(get).hasPrefix("\(failed) failed: Post \"https://127.0.0.1:1/convert?timeout=30s\": "))
        let port = try sites.run("cat port").split(separator: "\n").first ?? ""
        try sites.define(path: "/", client: "{url: \"https://127.0.0.1:\(port)/convert\"}")
        #expect(try sites.run(get).contains("certificate"))
        try sites.define(path: "/", client: "{service: {namespace: demo, name: nobody, path: /convert}}")
        #expect(
            try sites.run(get)
                == "\(failed) failed: Post \"https://nobody.demo.svc:443/convert?timeout=30s\": service \"nobody\" not found\n"
        )
        // What is served as it is stored needs nobody.
        #expect(try sites.spec("a", "v1") == #"conv.example.com/v1 {"host":"a","port":1}"#)
    }
}
