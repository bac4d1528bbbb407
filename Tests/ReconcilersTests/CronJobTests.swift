import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// A CronJob's decisions, one observation at a time.
struct CronJobTests {
    private func decide(
        _ spec: JSON, _ status: JSON = [:], jobs: [(name: String, end: String?)] = [], created: String, at now: String,
        zones: TimeZones = .utc
    ) throws -> Outcome {
        var spec = spec
        spec["jobTemplate"] = ["spec": ["template": ["spec": ["restartPolicy": "Never"]]]]
        var scene = Scene()
        scene.now = try #require(Instant(rfc3339: now))
        let metadata: JSON = ["creationTimestamp": .string(created)]
        let cronJob = Scene.document(Kinds.cronJob, "tick", ["spec": spec, "status": status, "metadata": metadata])
        scene.put(Kinds.cronJob, cronJob)
        for (name, end) in jobs {
            let conditions: JSON = end.map { [["type": .string($0), "status": "True"]] } ?? []
            let status: JSON = [
                "conditions": conditions, "startTime": .string("2026-01-01T00:00:0\(name.suffix(1))Z"),
                "completionTime": end == "Complete" ? "2026-01-01T00:01:00Z" : .null,
            ]
            scene.put(Kinds.job, Scene.document(Kinds.job, name, ["status": status], owner: cronJob))
        }
        return scene.decide(CronJobReconciler(zones: zones), "tick")
    }

    @Test func aTimeThatHasComeIsAJob() throws {
        let spec: JSON = ["schedule": "*/5 * * * *"]
        let early = try decide(spec, created: "2026-03-01T10:01:00Z", at: "2026-03-01T10:04:59Z")
        #expect(early.created.isEmpty && early.wakeAt == Instant(rfc3339: "2026-03-01T10:05:00Z"))
        let outcome = try decide(spec, created: "2026-03-01T10:01:00Z", at: "2026-03-01T10:05:00Z")
        #expect(outcome.created == ["tick-29539325"] && outcome.reasons == ["SuccessfulCreate"])
        #expect(
            outcome.made.first?.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
                == "2026-03-01T10:05:00Z")
        #expect(outcome.status?["lastScheduleTime"] == "2026-03-01T10:05:00Z")
        #expect(outcome.wakeAt == Instant(rfc3339: "2026-03-01T10:10:00Z"))
        // Once is enough, also where the Job has gone.
        let again = try decide(
            spec, ["lastScheduleTime": "2026-03-01T10:05:00Z"], created: "2026-03-01T10:01:00Z",
            at: "2026-03-01T10:06:00Z")
        #expect(again.created.isEmpty)
        // And where the status was not written any more.
        let crashed = try decide(
            spec, jobs: [("tick-29539325", nil)], created: "2026-03-01T10:01:00Z", at: "2026-03-01T10:06:00Z")
        #expect(crashed.created.isEmpty && crashed.status?["lastScheduleTime"] == "2026-03-01T10:05:00Z")
        #expect(crashed.status?["active"]?.arrayValue?.count == 1)
    }

    @Test func onlyTheNewestOfMissedTimes() throws {
        let few = try decide(["schedule": "0 * * * *"], created: "2026-03-01T00:30:00Z", at: "2026-03-01T05:10:00Z")
        #expect(few.status?["lastScheduleTime"] == "2026-03-01T05:00:00Z" && few.created.count == 1)
        #expect(!few.reasons.contains("TooManyMissedTimes"))
        let many = try decide(["schedule": "* * * * *"], created: "2020-03-01T00:30:00Z", at: "2026-03-01T05:10:30Z")
        #expect(many.status?["lastScheduleTime"] == "2026-03-01T05:10:00Z" && many.created.count == 1)
        #expect(many.reasons.contains("TooManyMissedTimes"))
        let rare = try decide(["schedule": "* 3 1 1 *"], created: "2020-03-01T00:30:00Z", at: "2026-03-01T05:10:30Z")
        #expect(rare.status?["lastScheduleTime"] == "2026-01-01T03:59:00Z")
    }

    @Test func startingDeadline() throws {
        let spec: JSON = ["schedule": "0 * * * *", "startingDeadlineSeconds": 120]
        let inTime = try decide(spec, created: "2026-03-01T00:30:00Z", at: "2026-03-01T05:01:59Z")
        #expect(inTime.created.count == 1)
        let late = try decide(spec, created: "2026-03-01T00:30:00Z", at: "2026-03-01T05:03:00Z")
        #expect(late.created.isEmpty && late.status?["lastScheduleTime"] == nil)
    }

    @Test func concurrency() throws {
        func decide(_ policy: String) throws -> Outcome {
            try self.decide(
                ["schedule": "0 * * * *", "concurrencyPolicy": .string(policy)], jobs: [("old-1", nil)],
                created: "2026-03-01T00:30:00Z", at: "2026-03-01T01:00:00Z")
        }
        let allow = try decide("Allow")
        #expect(allow.created.count == 1 && allow.children.count == 2)
        let forbid = try decide("Forbid")
        #expect(forbid.created.isEmpty && forbid.reasons == ["JobAlreadyActive"])
        #expect(forbid.status?["lastScheduleTime"] == nil)
        let replace = try decide("Replace")
        #expect(replace.created.count == 1 && replace.children.count == 1)
        #expect(replace.reasons == ["SuccessfulDelete", "SuccessfulCreate"] && replace.status?["active"] == nil)
    }

    @Test func suspended() throws {
        let outcome = try decide(
            ["schedule": "* * * * *", "suspend": true], created: "2026-03-01T00:30:00Z", at: "2026-03-01T01:00:00Z")
        #expect(outcome.created.isEmpty && outcome.wakeAt == nil)
    }

    @Test func history() throws {
        let jobs: [(String, String?)] =
            (0..<5).map { ("done-\($0)", "Complete") } + [("bad-1", "Failed"), ("bad-2", "Failed")]
        let outcome = try decide(
            ["schedule": "0 0 1 1 *"], jobs: jobs, created: "2026-03-01T00:30:00Z", at: "2026-03-01T01:00:00Z")
        #expect(outcome.children.map(\.key.name).sorted() == ["bad-2", "done-2", "done-3", "done-4"])
        #expect(outcome.status?["lastSuccessfulTime"] == "2026-01-01T00:01:00Z")
    }

    @Test func whatNobodyUnderstandsIsSaid() throws {
        let zone = try decide(
            ["schedule": "* * * * *", "timeZone": "Mars/Base"], created: "2026-03-01T00:30:00Z",
            at: "2026-03-01T01:00:00Z")
        #expect(zone.events.map(\.message) == ["invalid timeZone: \"Mars/Base\": unknown time zone Mars/Base"])
        let schedule = try decide(
            ["schedule": "often"], created: "2026-03-01T00:30:00Z", at: "2026-03-01T01:00:00Z")
        #expect(schedule.reasons == ["UnparseableSchedule"] && schedule.created.isEmpty)
    }

    @Test(.enabled(if: CronScheduleTests.hasZones, "no time zones in /usr/share/zoneinfo"))
    func theTimestampIsThatOfTheZone() throws {
        let outcome = try decide(
            ["schedule": "0 9 * * *", "timeZone": "Europe/Berlin"], created: "2026-07-10T00:30:00Z",
            at: "2026-07-10T07:00:00Z", zones: CronScheduleTests.zones)
        #expect(
            outcome.made.first?.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
                == "2026-07-10T09:00:00+02:00")
    }
}
