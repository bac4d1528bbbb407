import Glibc
import Testing

/// `espalier operate` and a server without loops, as two processes, with the real kubectl in front.
@Suite(.serialized, .enabled(if: RunningServer.canRun), .timeLimit(.minutes(4))) struct OperateTests {
    private func operate(_ server: RunningServer, _ arguments: String = "", log: String) throws -> pid_t {
        try server.start(
            "exec '\(RunningServer.binary ?? "")' operate --kubeconfig data/kubeconfig \(arguments) >\(log) 2>&1",
            directory: server.folder)
    }

    private func end(_ process: pid_t, _ signal: Int32 = SIGTERM) {
        kill(process, signal)
        Command.wait(process)
    }

    @Test("a landscape goes live, changes and is taken over by the next operator as it would be in one process")
    func livesAndIsTakenOver() throws {
        let server = try RunningServer(arguments: ["--controllers", "none"])
        defer { server.stop() }
        let manifests = "\(RunningServer.repository)/manifests"
        let first = try operate(server, log: "first")
        let applied = try server.shell(
            """
            kubectl create namespace demo && kubectl apply -f \(manifests)/quickstart
            kubectl wait landscape/shop --for=condition=Ready --timeout=50s
            """)
        #expect(applied.output.contains("landscape.espalier.dev/shop condition met"), "\(applied)")
        // Killed: the Lease says so only by standing still. A second one must wait for it, and then see the change through.
        end(first, SIGKILL)
        let second = try operate(server, log: "second")
        defer { end(second) }
        let changed = try server.shell(
            """
            kubectl apply -f \(manifests)/quickstart-canary
            timeout 50 grep -m1 'shop-2.*Paused' < <(exec kubectl get rollouts --watch --request-timeout=50s)
            kubectl -n kube-system get lease espalier-operator -o jsonpath='{.spec.leaseTransitions}'
            """)
        #expect(changed.output.contains("Paused"), "\(changed)")
        #expect(changed.output.hasSuffix("1"), "\(changed)")
    }

    @Test("what it cannot work with it says, with the remedy")
    func refusals() throws {
        let server = try RunningServer(arguments: ["--controllers", "none"])
        defer { server.stop() }
        let espalier = "'\(RunningServer.binary ?? "")'"
        let nowhere = try server.shell("unset KUBECONFIG; \(espalier) operate")
        #expect(nowhere.exit == 1)
        #expect(nowhere.error.contains("--kubeconfig"))
        let unknown = try server.shell("\(espalier) operate --kubeconfig data/kubeconfig --controllers landscape")
        #expect(unknown.exit == 2)
        #expect(unknown.error.contains("landscapes, rollouts"))
        let nothing = try server.shell("\(espalier) operate --kubeconfig data/kubeconfig --controllers none")
        #expect(nothing.exit == 1)
        #expect(nothing.error.contains("selects no loop"))
        let missing = try server.shell(
            """
            kubectl delete crd landscapes.espalier.dev >/dev/null
            \(espalier) operate --kubeconfig data/kubeconfig
            """)
        #expect(missing.exit == 1)
        #expect(missing.error.contains("landscapes.espalier.dev: kubectl apply --server-side -f crds/"), "\(missing)")
    }

    @Test("its webhooks answer over TLS as our own admission does")
    func webhooks() throws {
        let server = try RunningServer(arguments: ["--controllers", "none"])
        defer { server.stop() }
        let prepared = try server.shell(
            "mkdir certificates && cp data/pki/server.crt certificates/tls.crt && cp data/pki/server.key certificates/tls.key"
        )
        #expect(prepared.exit == 0, "\(prepared)")
        let operating = try operate(
            server, "--webhook-listen 127.0.0.1:0 --webhook-certificates certificates", log: "operate.log")
        defer { end(operating) }
        let bad =
            #"{"apiVersion":"espalier.dev/v1alpha1","kind":"Landscape","metadata":{"name":"shop","namespace":"demo"},"spec":{"services":[{"name":"web"}],"routes":[{"hosts":["a.localhost"],"rules":[{"service":"wbe"}]}]}}"#
        let review =
            #"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","#
            + #""resource":{"group":"espalier.dev","version":"v1alpha1","resource":"landscapes"},"object":\#(bad)}}"#
        let answers = try server.shell(
            """
            touch operate.log
            timeout 30 grep -q -m1 'the webhooks are served' < <(exec tail -q -n +1 -f --pid=\(operating) operate.log)
            at=https://$(grep -o 'address=127.0.0.1:[0-9]*' operate.log | head -1 | cut -d= -f2)
            curl $at/healthz
            curl -X POST $at/validate -H 'Content-Type: application/json' -d '\(review)'
            curl -X POST $at/validate -H 'Content-Type: application/json' -d '{}'
            curl $at/other
            """)
        #expect(answers.output.contains("HTTP 200") && answers.output.contains("ok"), "\(answers)")
        #expect(answers.output.contains(#""allowed":false"#) && answers.output.contains("spec.routes[0]"), "\(answers)")
        #expect(answers.output.contains("expected an AdmissionReview of admission.k8s.io/v1"), "\(answers)")
        #expect(answers.output.contains("expected POST /mutate or /validate"), "\(answers)")
    }
}
