import Documents
import Node
import Seams
import Testing

/// Pods of several containers as a table: in which order they start and stop, and what the pod is then.
struct SeveralContainersTests {
    typealias Table = PodMachineTests.Table

    /// Two init containers, a sidecar between them, two main containers.
    static func table(restartPolicy: String = "Always", _ change: @escaping (inout JSON) -> Void = { _ in }) -> Table {
        Table({ pod in
            pod["spec"]?["restartPolicy"] = .string(restartPolicy)
            pod["spec"]?["initContainers"] = [
                ["name": "one", "command": ["/bin/one"]],
                [
                    "name": "side", "command": ["/bin/side"], "restartPolicy": "Always",
                    "startupProbe": ["exec": ["command": ["/bin/up"]]],
                ],
                ["name": "two", "command": ["/bin/two"]],
            ]
            pod["spec"]?["containers"] = [
                ["name": "a", "command": ["/bin/a"]], ["name": "b", "command": ["/bin/b"]],
            ]
            change(&pod)
        })
    }

    static func started(_ name: String, _ table: Table) -> PodMachine.Event {
        .container(name, .started(at: table.now.wall))
    }

    static func exited(_ name: String, _ code: Int, _ table: Table) -> PodMachine.Event {
        .container(
            name,
            .exited(
                ContainerExit(
                    code: code, signal: 0, started: table.now.wall, finished: table.now.wall, lastLine: "")))
    }

    /// As far as both main containers run.
    static func running(restartPolicy: String = "Always") -> Table {
        var table = Self.table(restartPolicy: restartPolicy)
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "10.97.0.9"))
        _ = table.on(started("one", table))
        _ = table.on(exited("one", 0, table))
        _ = table.on(started("side", table))
        _ = table.on(.container("side", .probed(.startup, attempt: 0, isSuccess: true, message: "")))
        _ = table.on(started("two", table))
        _ = table.on(exited("two", 0, table))
        _ = table.on(started("a", table))
        _ = table.on(started("b", table))
        return table
    }

    @Test func initContainersRunOneAfterTheOtherAndTheSidecarStaysBesideThem() {
        var table = Self.table()
        #expect(table.on(.begin(.containers([:]))) == [.prepare])
        #expect(table.on(.prepared(address: "a")) == [.container("one", .start(attempt: 0))])
        #expect(table.on(Self.started("one", table)) == [])
        #expect(table.status()["phase"]?.stringValue == "Pending")
        let waiting = table.status()["containerStatuses"]?.arrayValue?.first?["state"]?["waiting"]
        #expect(waiting?["reason"]?.stringValue == "PodInitializing")
        #expect(table.on(Self.exited("one", 0, table)) == [.container("side", .start(attempt: 0))])
        #expect(table.on(Self.started("side", table)) == [.container("side", .probe(.startup))])
        #expect(
            table.on(.container("side", .probed(.startup, attempt: 0, isSuccess: true, message: "")))
                == [.container("two", .start(attempt: 0))])
        _ = table.on(Self.started("two", table))
        #expect(
            table.on(Self.exited("two", 0, table))
                == [.container("a", .start(attempt: 0)), .container("b", .start(attempt: 0))])
        _ = table.on(Self.started("a", table))
        #expect(table.status()["phase"]?.stringValue == "Pending", "one of its containers never ran yet")
        _ = table.on(Self.started("b", table))
        #expect(table.status()["phase"]?.stringValue == "Running")
        let conditions = table.status()["conditions"]?.arrayValue ?? []
        #expect(conditions.allSatisfy { $0["status"]?.stringValue == "True" })
        #expect(
            table.status()["initContainerStatuses"]?.arrayValue?.map { $0["ready"]?.boolValue } == [true, true, true])
    }

    @Test func anInitContainerThatFailsIsTriedAgainAndSaysSo() {
        var table = Self.table()
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "a"))
        _ = table.on(Self.started("one", table))
        #expect(table.on(Self.exited("one", 3, table)) == [.container("one", .start(attempt: 1))])
        _ = table.on(Self.started("one", table))
        #expect(table.on(Self.exited("one", 3, table)) == [])
        let initialized = table.status()["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == "Initialized" }
        #expect(initialized?["status"]?.stringValue == "False")
        #expect(
            initialized?["message"]?.stringValue
                == "containers with incomplete status: [one side two]: it ended with exit code 3")
    }

    @Test func anInitContainerThatMayNotBeTriedAgainFailsThePod() {
        var table = Self.table(restartPolicy: "Never")
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "a"))
        _ = table.on(Self.started("one", table))
        #expect(table.on(Self.exited("one", 3, table)) == [])
        #expect(table.status()["phase"]?.stringValue == "Failed")
        #expect(table.machine.wakeAt == nil)
    }

    @Test func whenAllAreDoneTheSidecarIsToldAndThePodIsOver() {
        var table = Self.running(restartPolicy: "Never")
        #expect(table.on(Self.exited("a", 0, table)) == [])
        #expect(table.status()["phase"]?.stringValue == "Running")
        #expect(table.on(Self.exited("b", 1, table)) == [.container("side", .terminate)])
        #expect(table.on(Self.exited("side", 143, table)) == [])
        #expect(table.status()["phase"]?.stringValue == "Failed")
    }

    @Test func aDeletedPodEndsItsContainersBeforeItsSidecar() {
        var table = Self.running()
        #expect(
            table.on(.deletionRequested(grace: .seconds(30)))
                == [.container("a", .terminate), .container("b", .terminate)])
        #expect(table.on(Self.exited("a", 0, table)) == [])
        #expect(table.on(Self.exited("b", 0, table)) == [.container("side", .terminate)])
        #expect(table.on(Self.exited("side", 0, table)) == [.clean])
    }

    @Test func atTheEndOfItsGraceAllAreKilled() {
        var table = Self.running()
        _ = table.on(.deletionRequested(grace: .seconds(5)))
        table.after(.seconds(5))
        let actions = table.on(.tick)
        for name in ["a", "b", "side"] { #expect(actions.contains(.container(name, .kill)), "\(name)") }
    }

    @Test func oneContainerRestartsWhileTheOtherRuns() {
        var table = Self.running()
        #expect(table.on(Self.exited("a", 1, table)) == [.container("a", .start(attempt: 1))])
        let ready = table.status()["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == "Ready" }
        #expect(ready?["status"]?.stringValue == "False")
        #expect(ready?["message"]?.stringValue == "containers with unready status: [a]")
    }

    @Test func anAgentThatComesBackGoesOnWhereThePodWas() {
        var first = Self.running()
        let written = first.status()
        var second = Self.table()
        let done = ContainerExit(
            code: 0, signal: 0, started: second.now.wall, finished: second.now.wall, lastLine: "")
        second = Table(
            { $0 = Self.document() }, observed: written)
        let started = second.now.wall
        let actions = second.on(
            .begin(
                .containers([
                    "one": .init(.ended(attempt: 0, exit: done)), "two": .init(.ended(attempt: 0, exit: done)),
                    "side": .init(.running(attempt: 0, started: started)),
                    "a": .init(.running(attempt: 0, started: started)),
                    "b": .init(.running(attempt: 0, started: started)),
                ])))
        #expect(actions == [.adopt])
        #expect(second.status() == written, "nothing changed, nothing is written")
    }

    private static func document() -> JSON {
        var pod: JSON = [:]
        _ = table { pod = $0 }
        return pod
    }

    @Test func afterARebootInitContainersRunAgain() {
        var table = Self.table()
        let done = ContainerExit(code: 0, signal: 0, started: table.now.wall, finished: table.now.wall, lastLine: "")
        var lost = done
        lost.code = 137
        lost.reason = ContainerExit.shutdownReason
        let findings =
            ["one", "two"].map { ($0, ContainerMachine.Finding(.ended(attempt: 0, exit: done))) }
            + ["side", "a", "b"].map { ($0, ContainerMachine.Finding(.ended(attempt: 2, exit: lost))) }
        #expect(
            table.on(.begin(.containers(Dictionary(uniqueKeysWithValues: findings)))) == [.prepare])
        let actions = table.on(.prepared(address: "a"))
        #expect(actions.contains(.container("one", .start(attempt: 1))))
        #expect(!actions.contains(.container("a", .start(attempt: 3))), "its init containers come first")
    }

    @Test func aDeadlineEndsThePod() {
        var table = Self.table { $0["spec"]?["activeDeadlineSeconds"] = 60 }
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "a"))
        _ = table.on(Self.started("one", table))
        #expect(table.machine.wakeAt == table.now.monotonic + .seconds(60))
        table.after(.seconds(60))
        #expect(table.on(.tick) == [.container("one", .terminate)])
        _ = table.on(Self.exited("one", 143, table))
        let status = table.status()
        #expect(status["phase"]?.stringValue == "Failed")
        #expect(status["reason"]?.stringValue == "DeadlineExceeded")
    }

    @Test func hooksRunAfterTheStartAndBeforeTheEnd() {
        var table = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"],
                    "lifecycle": [
                        "postStart": ["exec": ["command": ["/bin/hello"]]],
                        "preStop": ["exec": ["command": ["/bin/bye"]]],
                    ],
                ]
            ]
        })
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "a"))
        #expect(table.on(.main(.started(at: table.now.wall))) == [.main(.hook(.postStart))])
        #expect(table.status()["containerStatuses"]?.arrayValue?.first?["ready"]?.boolValue == false)
        _ = table.on(.main(.hooked(.postStart, attempt: 0, failure: nil)))
        #expect(table.status()["containerStatuses"]?.arrayValue?.first?["ready"]?.boolValue == true)
        #expect(table.on(.deletionRequested(grace: .seconds(30))) == [.main(.hook(.preStop))])
        #expect(table.on(.main(.hooked(.preStop, attempt: 0, failure: "no such file"))) == [.main(.terminate)])
        table.after(.seconds(30))
        #expect(table.on(.tick) == [.main(.kill)])
    }

    @Test func aFailedPostStartHookRestartsTheContainer() {
        var table = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"],
                    "lifecycle": ["postStart": ["exec": ["command": ["/bin/hello"]]]],
                ]
            ]
        })
        _ = table.on(.begin(.containers([:])))
        _ = table.on(.prepared(address: "a"))
        _ = table.on(.main(.started(at: table.now.wall)))
        #expect(
            table.on(.main(.hooked(.postStart, attempt: 0, failure: "exit code 1")))
                == [.main(.explain("its postStart hook failed: exit code 1")), .main(.terminate)])
    }
}
