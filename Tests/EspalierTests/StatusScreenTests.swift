import Documents
import Seams
import Testing

@testable import espalier

@Suite struct StatusScreenTests {
    private let now = Instant(seconds: 1_800_000_000)

    private func landscape(ready: Bool, message: String = "all services are ready") -> Document {
        Document([
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
            "metadata": ["name": "shop", "namespace": "default"],
            "status": [
                "url": "http://shop.localhost:8080", "revision": ["active": "shop-1", "candidate": "shop-2"],
                "services": [["name": "web", "hash": "3f2a91c0", "ready": ready ? 1 : 0, "desired": 1]],
                "traffic": [
                    ["revision": "shop-1", "weight": 90, "acknowledged": 90],
                    ["revision": "shop-2", "weight": 10, "acknowledged": 0],
                ],
                "conditions": [
                    [
                        "type": "Ready", "status": ready ? "True" : "False", "reason": "ServicesReady",
                        "message": .string(message),
                    ]
                ],
            ],
        ])
    }

    private func pod(waiting: JSON) -> Document {
        Document([
            "kind": "Pod",
            "metadata": [
                "name": "shop-web-0", "namespace": "default",
                "labels": ["app.kubernetes.io/part-of": "shop", "app.kubernetes.io/component": "web"],
            ],
            "status": [
                "podIP": "10.97.0.2", "containerStatuses": [["restartCount": 4, "state": ["waiting": waiting]]],
            ],
        ])
    }

    private func screen(
        _ landscapes: [Document], pods: [Document] = [], server: [StatusScreen.Problem] = []
    ) -> StatusScreen {
        StatusScreen(
            landscapes: landscapes, rollouts: [], pods: pods, routes: [], events: [], server: server, now: now)
    }

    @Test func aReadyLandscapeShowsWhereItIsAndNoProblems() {
        let screen = screen([landscape(ready: true)])
        #expect(screen.problems.isEmpty)
        #expect(
            screen.lines == [
                "default/shop  ready  http://shop.localhost:8080",
                "  revision  shop-1  (shop-1 90 %, shop-2 10 % (gateway has 0 %))",
                "  SERVICE   HASH       READY   RESTARTS   ADDRESSES",
                "  web       3f2a91c0   1/1     0",
            ])
    }

    @Test func aCrashingPodIsNamedWithItsReason() {
        let waiting: JSON = ["reason": "CrashLoopBackOff", "message": "exit code 1: no such file"]
        let screen = screen(
            [landscape(ready: false, message: "web has 0 of 1 pods ready")], pods: [pod(waiting: waiting)])
        #expect(
            screen.problems == [
                .init(what: "landscape default/shop: Ready (ServicesReady)", why: "web has 0 of 1 pods ready"),
                .init(what: "pod default/shop-web-0", why: "CrashLoopBackOff: exit code 1: no such file"),
            ])
    }

    @Test func onlyWhatConcernsTheScreenIsTold() {
        func warning(_ uid: String, _ message: String) -> Document {
            Document([
                "kind": "Event", "type": "Warning", "reason": "Unhealthy", "message": .string(message),
                "lastTimestamp": .string((now + .seconds(-5)).rfc3339),
                "involvedObject": ["kind": "Pod", "name": "p", "uid": .string(uid)],
            ])
        }
        var pod = pod(waiting: .null)
        pod.metadata["uid"] = "ours"
        pod["status"]?["containerStatuses"] = []
        pod["status"]?["conditions"] = [
            ["type": "Ready", "status": "False", "message": "containers with unready status: [web]"]
        ]
        let screen = StatusScreen(
            landscapes: [landscape(ready: false, message: "0 of 1 pods ready")], rollouts: [], pods: [pod], routes: [],
            events: [warning("ours", "HTTP probe answered 404"), warning("foreign", "of somebody else")], server: [],
            now: now)
        #expect(
            screen.problems == [
                .init(what: "landscape default/shop: Ready (ServicesReady)", why: "0 of 1 pods ready"),
                .init(
                    what: "pod default/shop-web-0",
                    why: "containers with unready status: [web]: HTTP probe answered 404"),
            ])
    }

    @Test func whatIsOnItsWayIsNotWrong() {
        var moving = landscape(ready: false, message: "pausing at 10 percent until somebody promotes")
        var conditions = moving.status["conditions"]?.arrayValue ?? []
        conditions.append(["type": "Progressing", "status": "True", "reason": "Paused", "message": "waits"])
        moving["status"]?["conditions"] = .array(conditions)
        #expect(screen([moving]).problems.isEmpty)
        #expect(screen([moving]).lines.first == "default/shop  on its way  http://shop.localhost:8080")
        conditions.append([
            "type": "Stalled", "status": "True", "reason": "Deadline", "message": "10 minutes have passed",
        ])
        moving["status"]?["conditions"] = .array(conditions)
        #expect(screen([moving]).problems.map(\.why).contains("10 minutes have passed"))
    }

    @Test func readyDoesNotRepeatAnotherCondition() {
        var lost = landscape(ready: false, message: "Secret nope does not exist")
        let conditions = lost.status["conditions"]?.arrayValue ?? []
        let other: JSON = [
            "type": "ResolvedRefs", "status": "False", "reason": "RefNotFound", "message": "Secret nope does not exist",
        ]
        lost["status"]?["conditions"] = .array(conditions + [other])
        #expect(
            screen([lost]).problems == [
                .init(what: "landscape default/shop: ResolvedRefs (RefNotFound)", why: "Secret nope does not exist")
            ])
    }

    @Test func withoutLandscapesItSaysHowToGetOne() {
        #expect(
            screen([]).lines == [
                "No landscapes. Declare one with `espalier apply -f FILE`; manifests/quickstart holds an example."
            ])
    }

    @Test func aServerThatIsNotReadySaysWhy() {
        let answer = """
            [+]ping ok
            [-]store failed: no space on the device; free some, writing resumes by itself
            readyz check failed
            """
        let problems = StatusScreen.serverProblems(answer)
        #expect(
            problems == [
                .init(what: "server: store", why: "no space on the device; free some, writing resumes by itself")
            ])
        #expect(screen([], server: problems).lines.contains { $0.contains("server: store") })
        #expect(screen([landscape(ready: true)], server: problems).problems == problems)
        #expect(StatusScreen.serverProblems("[+]ping ok\nreadyz check passed\n").isEmpty)
    }

    @Test func theNewestRolloutCounts() {
        func rollout(_ name: String, _ created: String) -> RolloutView {
            RolloutView(
                document: Document([
                    "metadata": ["name": .string(name), "creationTimestamp": .string(created)],
                    "spec": ["landscape": ["name": "shop"]],
                ]))
        }
        let all = [
            rollout("shop-9", "2026-01-01T00:00:00Z"), rollout("shop-10", "2026-01-01T00:00:00Z"),
            rollout("shop-2", "2025-01-01T00:00:00Z"),
        ]
        #expect(RolloutView.newest(all, of: "shop")?.document.name == "shop-10")
        #expect(RolloutView.newest(all, of: "other") == nil)
    }
}
