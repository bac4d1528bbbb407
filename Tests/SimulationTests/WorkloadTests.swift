import Client
import Documents
import Reconcilers
import Seams
import Simulation
import Store
import Testing

/// Jobs, StatefulSets, CronJobs and volumes through the real loops and the real API: they end as they should, from
/// whatever write on the loops are killed, and then nobody writes any more.
struct WorkloadTests {
    private static func template(_ command: String, _ policy: String, _ labels: JSON = [:]) -> JSON {
        [
            "metadata": ["labels": labels],
            "spec": [
                "restartPolicy": .string(policy), "runtimeClassName": "espalier-process",
                "containers": [["name": "main", "command": [.string(command)]]],
            ],
        ]
    }

    private static func job(_ command: String, _ more: JSON) -> JSON {
        var spec: JSON = ["template": template(command, "Never")]
        for member in more.objectValue?.members ?? [] { spec[member.key] = member.value }
        return [
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": ["name": "work", "namespace": .string(World.namespace)], "spec": spec,
        ]
    }

    private func expectQuiet(_ world: World) async throws {
        let (revision, writes) = (world.plane.store.sequencedRevision, world.plane.loopClient.writes.count)
        try await world.pass(60)
        #expect(world.plane.store.sequencedRevision == revision)
        #expect(world.plane.loopClient.writes.count == writes, "\(world.plane.loopClient.writes.suffix(4))")
        world.plane.restartLoops()
        try await world.pass(60)
        #expect(world.plane.loopClient.writes.isEmpty, "\(world.plane.loopClient.writes)")
    }

    @Test(
        arguments: [["completions": 5, "parallelism": 2], ["completions": 4, "completionMode": "Indexed"]] as [JSON])
    func aJobEnds(_ spec: JSON) async throws {
        let world = try await World()
        try await world.apply(Self.job("succeeds", spec))
        try await world.pass(60)
        let job = try await world.get(Kinds.job, "work")
        #expect(job.isTrue("Complete") && job.status["succeeded"] == spec["completions"], "\(job.status)")
        #expect(job.status["uncountedTerminatedPods"]?.objectValue?.isEmpty ?? true, "\(job.status)")
        #expect(job.status["active"] == nil)
        let pods = try await world.list(Kinds.pod)
        #expect(pods.count == spec.integer("completions") && pods.allSatisfy { $0.finalizers.isEmpty })
        try await expectQuiet(world)
    }

    @Test func aJobFailsAfterItsRests() async throws {
        let world = try await World()
        try await world.apply(Self.job("fails", ["backoffLimit": 2]))
        try await world.pass(15)
        #expect(try await world.list(Kinds.pod).count == 2)
        try await world.pass(60)
        let job = try await world.get(Kinds.job, "work")
        #expect(job.status["failed"] == 3 && job.condition("Failed")?.text("reason") == "BackoffLimitExceeded")
        try await expectQuiet(world)
    }

    /// Killed before and after every write: as many pods have succeeded as were asked for, and no more were made.
    @Test func aJobCountsEveryEndOnce() async throws {
        let spec: JSON = ["completions": 3, "parallelism": 2]
        let reference = try await World()
        try await reference.apply(Self.job("succeeds", spec))
        try await reference.pass(60)
        let writes = reference.plane.loopClient.writes.count
        #expect(writes > 9)
        for number in 1...writes {
            for side in [CrashPoint.Side.before, .after] {
                let world = try await World(decidesTwice: false)
                world.plane.restartLoops(crash: CrashPoint(write: number, side))
                try await world.apply(Self.job("succeeds", spec))
                try await world.pass(60)
                let job = try await world.get(Kinds.job, "work")
                let pods = try await world.list(Kinds.pod)
                #expect(
                    job.isTrue("Complete") && job.status["succeeded"] == 3 && pods.count == 3
                        && pods.allSatisfy { $0.finalizers.isEmpty }, "\(side) write \(number): \(job.status)")
            }
        }
    }

    @Test func podsThatPeopleDeleteAreCounted() async throws {
        let world = try await World()
        try await world.apply(Self.job("runs", ["backoffLimit": 6]))
        try await world.pass(5)
        let pod = try #require(try await world.list(Kinds.pod).first)
        try await world.plane.client.delete(
            ObjectKey(Kinds.pod.resource, namespace: World.namespace, name: pod.name), options: DeleteOptions())
        try await world.pass(5)
        #expect(try await world.get(Kinds.job, "work").status["failed"] == 1)
        try await world.pass(20)
        #expect(try await world.list(Kinds.pod).count == 1)
        // Suspending counts as no failure.
        try await world.apply(Self.job("runs", ["backoffLimit": 6, "suspend": true]))
        try await world.pass(40)
        let job = try await world.get(Kinds.job, "work")
        #expect(try await world.list(Kinds.pod).isEmpty && job.isTrue("Suspended") && job.status["failed"] == 1)
        try await expectQuiet(world)
        // And with the Job everything goes.
        try await world.apply(Self.job("runs", ["backoffLimit": 6]))
        try await world.pass(5)
        try await world.plane.client.delete(
            ObjectKey(Kinds.job.resource, namespace: World.namespace, name: "work"), options: DeleteOptions())
        try await world.pass(40)
        #expect(try await world.list(Kinds.pod).isEmpty)
        #expect(try await world.list(Kinds.job).isEmpty)
    }

    @Test func aJobGoesWhenItsTimeIsUp() async throws {
        let world = try await World()
        try await world.apply(Self.job("succeeds", ["ttlSecondsAfterFinished": 30]))
        try await world.pass(20)
        #expect(try await world.list(Kinds.job).count == 1)
        try await world.pass(40)
        #expect(try await world.list(Kinds.job).isEmpty)
        #expect(try await world.list(Kinds.pod).isEmpty)
    }

    @Test func aCronJobKeepsItsHistory() async throws {
        let world = try await World()
        let spec: JSON = ["spec": ["template": Self.template("succeeds", "Never")]]
        try await world.apply([
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": ["name": "tick", "namespace": .string(World.namespace)],
            "spec": ["schedule": "*/2 * * * *", "jobTemplate": spec, "successfulJobsHistoryLimit": 2],
        ])
        try await world.pass(15 * 60)
        let cronJob = try await world.get(Kinds.cronJob, "tick")
        let jobs = try await world.list(Kinds.job)
        #expect(jobs.count == 2 && jobs.allSatisfy { $0.isTrue("Complete") }, "\(jobs.map(\.name))")
        #expect(cronJob.status["lastSuccessfulTime"] != nil && cronJob.status["active"] == nil)
        let events = try await world.list(Kinds.event).filter { $0.json.text("reason") == "SawCompletedJob" }
        #expect(events.count >= 6, "\(events.count)")
    }

    private static func set(_ command: String, replicas: Int64) -> JSON {
        let claim: JSON = [
            "metadata": ["name": "data"],
            "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
        ]
        return [
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": ["name": "db", "namespace": .string(World.namespace)],
            "spec": [
                "replicas": .integer(replicas), "serviceName": "db", "selector": ["matchLabels": ["app": "db"]],
                "template": template(command, "Always", ["app": "db"]), "volumeClaimTemplates": [claim],
            ],
        ]
    }

    @Test func aSetKeepsItsVolumes() async throws {
        let world = try await World()
        try await world.apply(Self.set("one", replicas: 2))
        try await world.pass(20)
        #expect(try await world.list(Kinds.pod).map(\.name) == ["db-0", "db-1"])
        let claims = try await world.list(Kinds.claim)
        #expect(claims.map { $0.status["phase"] } == ["Bound", "Bound"], "\(claims.map(\.json))")
        let volumes = try await world.volumes()
        #expect(volumes.map { $0.status["phase"] } == ["Bound", "Bound"])
        try await expectQuiet(world)
        try await world.apply(Self.set("two", replicas: 3))
        try await world.pass(40)
        let set = try await world.get(Kinds.statefulSet, "db")
        #expect(set.status["updatedReplicas"] == 3 && set.status["readyReplicas"] == 3, "\(set.status)")
        #expect(set.status["currentRevision"] == set.status["updateRevision"])
        #expect(try await world.volumes().count == 3)
        try await expectQuiet(world)
        // The set goes, its volumes stay until their claims go; a claim in use waits.
        try await world.plane.client.delete(
            ObjectKey(Kinds.claim.resource, namespace: World.namespace, name: "data-db-0"), options: DeleteOptions())
        try await world.pass(20)
        #expect(try await world.list(Kinds.claim).count == 3)
        try await world.plane.client.delete(
            ObjectKey(Kinds.statefulSet.resource, namespace: World.namespace, name: "db"), options: DeleteOptions())
        try await world.pass(40)
        #expect(try await world.list(Kinds.claim).map(\.name) == ["data-db-1", "data-db-2"])
        #expect(try await world.volumes().count == 2)
        try await expectQuiet(world)
    }

    @Test func aClaimGrowsAndNeverShrinks() async throws {
        let world = try await World()
        func claim(_ size: String) -> JSON {
            [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": ["name": "data", "namespace": .string(World.namespace)],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": .string(size)]]],
            ]
        }
        try await world.apply(claim("1Gi"))
        try await world.pass(5)
        #expect(try await world.get(Kinds.claim, "data").status["capacity"] == ["storage": "1Gi"])
        try await world.apply(claim("3Gi"))
        try await world.pass(5)
        #expect(try await world.get(Kinds.claim, "data").status["capacity"] == ["storage": "3Gi"])
        let error = await #expect(throws: APIError.self) { _ = try await world.apply(claim("2Gi")) }
        #expect(error?.message.contains("field can not be less than status.capacity") == true)
        try await expectQuiet(world)
    }
}

extension World {
    fileprivate func volumes() async throws -> [Document] {
        try await plane.client.list(Kinds.volume.resource, namespace: "", options: ListOptions()).items
    }
}
