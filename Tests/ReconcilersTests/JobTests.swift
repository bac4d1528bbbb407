import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// A Job's decisions, one observation at a time.
struct JobTests {
    private func job(_ spec: JSON, _ status: JSON = [:]) -> Document {
        var spec = spec
        spec["template"] = ["spec": ["containers": [["name": "main", "command": ["true"]]], "restartPolicy": "Never"]]
        return Scene.document(Kinds.job, "work", ["spec": spec, "status": status])
    }

    private func pod(
        _ name: String, _ phase: String, of job: Document, index: Int? = nil, failures: Int = 0, isTracked: Bool = true,
        ended: String = "2026-09-21T14:13:00Z", exitCode: Int64 = 1, isGoing: Bool = false
    ) -> Document {
        var metadata: JSON = [:]
        if isTracked { metadata["finalizers"] = ["batch.kubernetes.io/job-tracking"] }
        if let index {
            metadata["annotations"] = [
                "batch.kubernetes.io/job-completion-index": .string(String(index)),
                "batch.kubernetes.io/job-index-failure-count": .string(String(failures)),
            ]
        }
        if isGoing { metadata["deletionTimestamp"] = .string(ended) }
        let state: JSON = ["terminated": ["exitCode": .integer(exitCode), "finishedAt": .string(ended)]]
        let isOver = phase == "Failed" || phase == "Succeeded"
        return Scene.document(
            Kinds.pod, name,
            [
                "metadata": metadata,
                "status": [
                    "phase": .string(phase), "containerStatuses": [["name": "main", "state": isOver ? state : [:]]],
                ],
            ], owner: job)
    }

    private func decide(_ job: Document, _ pods: [Document], at now: String = "2026-09-21T15:00:00Z") throws -> Outcome
    {
        var scene = Scene()
        scene.now = try #require(Instant(rfc3339: now))
        scene.put(Kinds.job, job)
        for pod in pods { scene.put(Kinds.pod, pod) }
        return scene.decide(JobReconciler(), "work")
    }

    @Test func makesAsManyPodsAsMayRun() throws {
        let outcome = try decide(job(["completions": 5, "parallelism": 2]), [])
        #expect(outcome.created.count == 2)
        #expect(outcome.made.allSatisfy { $0.finalizers == ["batch.kubernetes.io/job-tracking"] })
        #expect(outcome.made.allSatisfy { $0.labels["batch.kubernetes.io/job-name"] == "work" })
        #expect(outcome.status?["active"] == 2 && outcome.status?["startTime"] == "2026-09-21T15:00:00Z")
    }

    @Test func noMoreThanAreMissing() throws {
        let job = job(["completions": 5, "parallelism": 4], ["succeeded": 3])
        #expect(try decide(job, [pod("a", "Running", of: job)]).created.count == 1)
    }

    /// An end is written down first; it is in the sum once the pod bears no mark any more.
    @Test func endsAreCountedOnce() throws {
        let spec: JSON = ["completions": 3, "parallelism": 1]
        let first = job(spec)
        let noted = try decide(first, [pod("a", "Succeeded", of: first)])
        #expect(noted.status?["uncountedTerminatedPods"] == ["succeeded": ["uid-a"]])
        #expect(noted.status?["succeeded"] == nil && noted.created.count == 1)
        let second = job(spec, noted.status ?? [:])
        let waiting = try decide(second, [pod("a", "Succeeded", of: second)])
        #expect(waiting.status?["uncountedTerminatedPods"] == ["succeeded": ["uid-a"]])
        let counted = try decide(second, [pod("a", "Succeeded", of: second, isTracked: false)])
        #expect(counted.status?["succeeded"] == 1 && counted.status?["uncountedTerminatedPods"] == [:])
        // Also where the pod has gone meanwhile.
        #expect(try decide(second, []).status?["succeeded"] == 1)
        // And never again.
        let third = job(spec, counted.status ?? [:])
        let again = try decide(third, [pod("a", "Succeeded", of: third, isTracked: false)])
        #expect(again.status?["succeeded"] == 1)
    }

    @Test func theMarkComesOffOnceTheEndIsWrittenDown() throws {
        var scene = Scene()
        let plain = job(["completions": 3])
        scene.put(Kinds.job, plain)
        scene.put(Kinds.pod, pod("a", "Succeeded", of: plain))
        #expect(scene.decide(PodReconciler(), "a").releases.isEmpty)
        scene.put(Kinds.job, job(["completions": 3], ["uncountedTerminatedPods": ["succeeded": ["uid-a"]]]))
        #expect(scene.decide(PodReconciler(), "a").releases == ["batch.kubernetes.io/job-tracking"])
        // A pod whose Job is gone waits for nothing.
        var orphan = pod("b", "Running", of: plain)
        orphan.metadata["ownerReferences"] = nil
        scene.put(Kinds.pod, orphan)
        #expect(scene.decide(PodReconciler(), "b").releases == ["batch.kubernetes.io/job-tracking"])
    }

    @Test func completesInTwoSteps() throws {
        let status: JSON = ["succeeded": 2, "startTime": "2026-09-21T14:00:00Z"]
        let first = job(["completions": 2], status)
        let outcome = try decide(first, [pod("a", "Running", of: first)])
        #expect(outcome.condition("SuccessCriteriaMet") == "True CompletionsReached")
        #expect(outcome.condition("Complete") == nil && outcome.deleted == ["a"] && outcome.created.isEmpty)
        let second = job(["completions": 2], outcome.status ?? [:])
        let end = try decide(second, [])
        #expect(end.condition("Complete") == "True CompletionsReached" && end.reasons == ["Completed"])
        #expect(end.status?["completionTime"] == "2026-09-21T15:00:00Z" && end.status?["active"] == nil)
        // What has ended stays as it is.
        let third = job(["completions": 2], end.status ?? [:])
        #expect(try decide(third, []).status == nil)
    }

    @Test func aQueueIsEmptyWhenOneHasSucceededAndAllHaveEnded() throws {
        let job = job(["parallelism": 2], ["startTime": "2026-09-21T14:00:00Z"])
        let some = try decide(job, [pod("a", "Succeeded", of: job), pod("b", "Running", of: job)])
        #expect(some.created.isEmpty && some.condition("SuccessCriteriaMet") == nil)
        let all = try decide(job, [pod("a", "Succeeded", of: job), pod("b", "Succeeded", of: job)])
        #expect(all.condition("SuccessCriteriaMet") == "True CompletionsReached")
    }

    @Test(arguments: [(1, 10), (2, 20), (3, 40), (6, 320), (7, 360), (40, 360)])
    func restsAfterFailures(failures: Int, seconds: Int) throws {
        let job = job(
            ["backoffLimit": 100], ["failed": .integer(Int64(failures)), "startTime": "2026-09-21T14:00:00Z"])
        let pods = (0..<failures).map { pod("a\($0)", "Failed", of: job, isTracked: false) }
        let ended = try #require(Instant(rfc3339: "2026-09-21T14:13:00Z"))
        let due = ended + .seconds(seconds)
        let early = try decide(job, pods, at: (due + .seconds(-1)).rfc3339)
        #expect(early.created.isEmpty && early.wakeAt == due)
        #expect(try decide(job, pods, at: due.rfc3339).created.count == 1)
    }

    @Test func failsBeyondItsLimit() throws {
        let status: JSON = ["failed": 1, "startTime": "2026-09-21T14:00:00Z"]
        let job = job(["backoffLimit": 1, "parallelism": 2, "completions": 2], status)
        let pods = [pod("a", "Failed", of: job), pod("b", "Running", of: job)]
        let outcome = try decide(job, pods)
        #expect(outcome.condition("FailureTarget") == "True BackoffLimitExceeded")
        // `b` is left out: it is deleted, and counts as failed.
        #expect(outcome.children.map(\.key.name) == ["a"] && outcome.condition("Failed") == nil)
    }

    @Test func podsThatSomebodyDeletesHaveFailed() throws {
        let job = job(["completions": 1])
        let outcome = try decide(job, [pod("a", "Running", of: job, isGoing: true)])
        #expect(outcome.status?["uncountedTerminatedPods"] == ["failed": ["uid-a"]])
    }

    @Test func deadline() throws {
        let job = job(["activeDeadlineSeconds": 60], ["startTime": "2026-09-21T14:59:30Z"])
        let early = try decide(job, [pod("a", "Running", of: job)])
        #expect(early.condition("FailureTarget") == nil && early.wakeAt == Instant(rfc3339: "2026-09-21T15:00:30Z"))
        let late = try decide(job, [pod("a", "Running", of: job)], at: "2026-09-21T15:00:30Z")
        #expect(late.condition("FailureTarget") == "True DeadlineExceeded")
    }

    @Test func aSuspendedJobHasNoPodsAndNoFailures() throws {
        let running = job(["suspend": true, "completions": 2], ["startTime": "2026-09-21T14:59:30Z"])
        let outcome = try decide(running, [pod("a", "Running", of: running)])
        #expect(outcome.deleted == ["a"] && outcome.condition("Suspended") == "True JobSuspended")
        #expect(outcome.status?["startTime"] == nil && outcome.status?["uncountedTerminatedPods"] == [:])
        let resumed = try decide(job(["completions": 2], outcome.status ?? [:]), [])
        #expect(resumed.condition("Suspended") == "False JobResumed" && resumed.created.count == 1)
        #expect(resumed.status?["startTime"] == "2026-09-21T15:00:00Z")
    }

    @Test func indexes() throws {
        let spec: JSON = ["completions": 4, "parallelism": 3, "completionMode": "Indexed"]
        let job = job(spec, ["completedIndexes": "1", "succeeded": 1, "startTime": "2026-09-21T14:00:00Z"])
        let outcome = try decide(job, [pod("work-0-x", "Succeeded", of: job, index: 0)])
        #expect(outcome.status?["completedIndexes"] == "0,1" && outcome.status?["succeeded"] == 2)
        #expect(outcome.made.map { $0.annotations["batch.kubernetes.io/job-completion-index"] } == ["2", "3"])
        let made = try #require(outcome.made.first)
        #expect(made.name.hasPrefix("work-2-") && made.spec["hostname"] == "work-2")
        let environment = made.spec.elements("containers").first?.elements("env") ?? []
        #expect(environment.map { $0.text("name") } == ["JOB_COMPLETION_INDEX"])
    }

    @Test func limitsPerIndex() throws {
        let spec: JSON = [
            "completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1,
        ]
        let first = job(spec, ["startTime": "2026-09-21T14:00:00Z"])
        let once = try decide(first, [pod("a", "Failed", of: first, index: 0)])
        #expect(once.status?["failedIndexes"] == "")
        let again = once.made.first { $0.name.hasPrefix("work-0-") }
        #expect(again?.annotations["batch.kubernetes.io/job-index-failure-count"] == "1")
        let twice = try decide(
            first, [pod("b", "Failed", of: first, index: 0, failures: 1), pod("c", "Succeeded", of: first, index: 1)])
        #expect(twice.status?["failedIndexes"] == "0" && twice.condition("FailureTarget") == "True FailedIndexes")
    }

    @Test func failurePolicy() throws {
        let policy: JSON = [
            "rules": [
                ["action": "FailJob", "onExitCodes": ["operator": "In", "values": [42]]],
                ["action": "Ignore", "onExitCodes": ["operator": "In", "values": [3]]],
            ]
        ]
        let job = job(["podFailurePolicy": policy], ["startTime": "2026-09-21T14:00:00Z"])
        let fatal = try decide(job, [pod("a", "Failed", of: job, exitCode: 42)])
        #expect(fatal.condition("FailureTarget") == "True PodFailurePolicy")
        let message = fatal.status?["conditions"]?.arrayValue?.first?["message"]
        #expect(
            message == "Container main for pod team-a/a failed with exit code 42 matching FailJob rule at index 0")
        let ignored = try decide(job, [pod("a", "Failed", of: job, exitCode: 3)])
        #expect(ignored.status?["uncountedTerminatedPods"] == [:] && ignored.created.count == 1)
    }

    @Test func goesWhenItsTimeIsUp() throws {
        let status: JSON = [
            "conditions": [["type": "Complete", "status": "True", "lastTransitionTime": "2026-09-21T15:00:00Z"]]
        ]
        let job = job(["ttlSecondsAfterFinished": 30], status)
        #expect(try decide(job, [], at: "2026-09-21T15:00:29Z").wakeAt == Instant(rfc3339: "2026-09-21T15:00:30Z"))
        #expect(try decide(job, [], at: "2026-09-21T15:00:30Z").isExpired)
    }
}
