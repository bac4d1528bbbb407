import Documents
import Node
import Seams
import Testing

/// The life of a pod as a table: what happens, and what is decided. No process, no clock.
struct PodMachineTests {
    /// A machine and the moment it believes in.
    struct Table {
        var machine: PodMachine
        var now = Moment(wall: Instant(seconds: 1_000_000), monotonic: .seconds(50))

        init(_ change: (inout JSON) -> Void = { _ in }, observed: JSON = [:], drain: Duration = .milliseconds(300)) {
            var pod: JSON = [
                "metadata": ["name": "web", "namespace": "default", "uid": "u1"],
                "spec": [
                    "runtimeClassName": "espalier-process", "terminationGracePeriodSeconds": 30,
                    "containers": [
                        ["name": "main", "command": ["/bin/web"], "ports": [["name": "http", "containerPort": 3000]]]
                    ],
                ],
            ]
            change(&pod)
            machine = PodMachine(PodSpecification(Document(pod)), observed: observed, drain: drain)
        }

        mutating func after(_ duration: Duration) {
            now = Moment(wall: now.wall + duration, monotonic: now.monotonic + duration)
        }

        /// The actions, without the events for people.
        mutating func on(_ event: PodMachine.Event) -> [PodMachine.Action] {
            machine.on(event, now: now).filter {
                switch $0 {
                case .event, .container(_, .event): false
                default: true
                }
            }
        }

        mutating func status() -> JSON { machine.status(hostAddress: "10.0.0.1", now: now) }

        mutating func run() {
            _ = on(.begin(.containers([:])))
            _ = on(.prepared(address: "10.97.0.9"))
            _ = on(.main(.started(at: now.wall)))
        }

        func exit(_ code: Int, _ reason: String? = nil, ranFor: Duration = .seconds(1)) -> PodMachine.Event {
            .main(
                .exited(
                    ContainerExit(
                        code: code, signal: 0, started: now.wall + (.zero - ranFor), finished: now.wall,
                        lastLine: "last words", reason: reason)))
        }
    }

    @Test func aNewPodIsPreparedStartedAndReady() {
        var table = Table()
        #expect(table.on(.begin(.containers([:]))) == [.prepare])
        #expect(table.status()["phase"]?.stringValue == "Pending")
        #expect(table.on(.prepared(address: "10.97.0.9")) == [.main(.start(attempt: 0))])
        #expect(table.on(.main(.started(at: table.now.wall))) == [])
        let status = table.status()
        #expect(status["phase"]?.stringValue == "Running")
        #expect(status["podIP"]?.stringValue == "10.97.0.9")
        #expect(status["containerStatuses"]?.arrayValue?.first?["ready"]?.boolValue == true)
        #expect(table.machine.wakeAt == nil, "nothing to wait for")
    }

    @Test func restartsAreImmediateThenBackOffDoubling() {
        var table = Table()
        table.run()
        var waits: [Duration] = []
        for attempt in 1...8 {
            var actions = table.on(table.exit(1))
            if actions.isEmpty {
                let wake = table.machine.wakeAt ?? .zero
                waits.append(wake - table.now.monotonic)
                #expect(
                    table.status()["containerStatuses"]?.arrayValue?.first?["state"]?["waiting"]?["reason"]?.stringValue
                        == "CrashLoopBackOff")
                table.after(wake - table.now.monotonic - .milliseconds(1))
                #expect(table.on(.tick) == [])
                table.after(.milliseconds(1))
                actions = table.on(.tick)
            } else {
                waits.append(.zero)
            }
            #expect(actions == [.main(.start(attempt: attempt))])
            _ = table.on(.main(.started(at: table.now.wall)))
        }
        #expect(waits == [0, 10, 20, 40, 80, 160, 300, 300].map { .seconds($0) })
        #expect(
            table.on(table.exit(1, ranFor: .seconds(601))) == [.main(.start(attempt: 9))],
            "a long run forgives earlier crashes")
    }

    @Test func theCrashMessageNamesCodeAndLastLine() {
        var table = Table()
        table.run()
        _ = table.on(table.exit(1))
        _ = table.on(.main(.started(at: table.now.wall)))
        _ = table.on(table.exit(9))
        let waiting = table.status()["containerStatuses"]?.arrayValue?.first?["state"]?["waiting"]
        #expect(
            waiting?["message"]?.stringValue
                == "container main ended with exit code 9 and waits to be restarted; its last line was: last words")
    }

    @Test(arguments: [
        ("Always", 0, true), ("Always", 1, true), ("OnFailure", 0, false), ("OnFailure", 1, true), ("Never", 1, false),
    ])
    func restartPolicies(policy: String, code: Int, isRestarted: Bool) {
        var table = Table({ $0["spec"]?["restartPolicy"] = .string(policy) })
        table.run()
        #expect(table.on(table.exit(code)) == (isRestarted ? [.main(.start(attempt: 1))] : []))
        if !isRestarted { #expect(table.status()["phase"]?.stringValue == (code == 0 ? "Succeeded" : "Failed")) }
    }

    @Test func aServingPodDrainsBeforeItIsToldToStop() {
        var table = Table()
        table.run()
        #expect(table.on(.deletionRequested(grace: .seconds(30))) == [])
        #expect(table.machine.wakeAt == table.now.monotonic + .milliseconds(300))
        table.after(.milliseconds(300))
        #expect(table.on(.tick) == [.main(.terminate)])
        table.after(.milliseconds(29_699))
        #expect(table.on(.tick) == [])
        table.after(.milliseconds(1))
        #expect(table.on(.tick) == [.main(.kill)])
        #expect(table.on(.tick) == [], "killed once")
        #expect(table.on(table.exit(137)) == [.clean])
        #expect(table.on(.cleaned) == [.deleteDocument])
        #expect(table.machine.isGone)
    }

    @Test func aShorterGraceReplacesALongerOne() {
        var table = Table()
        table.run()
        _ = table.on(.deletionRequested(grace: .seconds(30)))
        #expect(table.on(.deletionRequested(grace: .zero)) == [.main(.terminate), .main(.kill)])
    }

    @Test func aPodWithoutPortsIsToldAtOnce() {
        var table = Table({ $0["spec"]?["containers"] = [["name": "main", "command": ["/bin/web"]]] })
        table.run()
        #expect(table.on(.deletionRequested(grace: .seconds(30))) == [.main(.terminate)])
    }

    @Test func deletionDuringEachStage() {
        var preparing = Table()
        _ = preparing.on(.begin(.containers([:])))
        #expect(preparing.on(.deletionRequested(grace: .seconds(1))) == [])
        #expect(preparing.on(.prepared(address: "a")) == [.clean])

        var starting = Table()
        _ = starting.on(.begin(.containers([:])))
        _ = starting.on(.prepared(address: "a"))
        #expect(starting.on(.deletionRequested(grace: .seconds(1))) == [])
        #expect(
            starting.on(.main(.started(at: starting.now.wall))) == [.main(.terminate)],
            "what was on its way up is stopped when it is there")

        var waiting = Table()
        _ = waiting.on(.begin(.containers([:])))
        _ = waiting.on(.preparationFailed(reason: "CreateContainerConfigError", message: "configmap \"x\" not found"))
        #expect(waiting.on(.deletionRequested(grace: .seconds(1))) == [.clean])

        var ended = Table({ $0["spec"]?["restartPolicy"] = "Never" })
        ended.run()
        _ = ended.on(ended.exit(0))
        #expect(ended.on(.deletionRequested(grace: .seconds(1))) == [.clean])
        #expect(ended.on(.deletionRequested(grace: .seconds(1))) == [], "once")
    }

    @Test func aDocumentThatWentIsNotDeletedAgain() {
        var table = Table()
        table.run()
        #expect(table.on(.documentGone) == [.main(.terminate)])
        _ = table.on(table.exit(143))
        #expect(table.on(.cleaned) == [])
        #expect(table.machine.isGone)
    }

    @Test func whatIsMissingIsWaitedForAndSaid() {
        var table = Table()
        _ = table.on(.begin(.containers([:])))
        #expect(
            table.on(.preparationFailed(reason: "CreateContainerConfigError", message: "secret \"s\" not found")) == [])
        let waiting = table.status()["containerStatuses"]?.arrayValue?.first?["state"]?["waiting"]
        #expect(waiting?["reason"]?.stringValue == "CreateContainerConfigError")
        #expect(waiting?["message"]?.stringValue == "secret \"s\" not found")
        table.after(.milliseconds(200))
        #expect(table.on(.tick) == [.prepare])
        #expect(table.on(.prepared(address: "a")) == [.main(.start(attempt: 0))])
    }

    @Test func anAdoptedReadyPodStaysReadyAndWritesNothing() {
        var first = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"], "readinessProbe": ["httpGet": ["port": 3000]],
                ]
            ]
        })
        first.run()
        _ = first.on(.tick)
        _ = first.on(.main(.probed(.readiness, attempt: 0, isSuccess: true, message: "")))
        let written = first.status()
        #expect(written["containerStatuses"]?.arrayValue?.first?["ready"]?.boolValue == true)

        var second = Table(
            {
                $0["spec"]?["containers"] = [
                    [
                        "name": "main", "command": ["/bin/web"], "readinessProbe": ["httpGet": ["port": 3000]],
                    ]
                ]
            }, observed: written)
        let started = second.now.wall
        second.after(.seconds(60))
        let actions = second.on(.begin(.containers(["main": .init(.running(attempt: 0, started: started))])))
        #expect(actions.contains(.adopt))
        #expect(!actions.contains(.main(.start(attempt: 0))))
        #expect(second.status() == written)
    }

    @Test func aLivenessFailureRestartsTheContainer() {
        var table = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"],
                    "livenessProbe": ["tcpSocket": ["port": 3000], "periodSeconds": 5, "failureThreshold": 2],
                ]
            ]
        })
        table.run()
        table.after(.seconds(5))
        #expect(table.on(.tick) == [], "already tried at the start")
        #expect(table.on(.main(.probed(.liveness, attempt: 0, isSuccess: false, message: "refused"))) == [])
        table.after(.seconds(5))
        #expect(table.on(.tick) == [.main(.probe(.liveness))])
        let cause = "the liveness probe failed: refused"
        #expect(
            table.on(.main(.probed(.liveness, attempt: 0, isSuccess: false, message: "refused"))) == [
                .main(.explain(cause)), .main(.terminate),
            ])
        var ended = ContainerExit(
            code: 0, signal: 0, started: table.now.wall, finished: table.now.wall, lastLine: "bye")
        ended.cause = cause
        #expect(table.on(.main(.exited(ended))) == [.main(.start(attempt: 1))])
        let last = table.status()["containerStatuses"]?.arrayValue?.first?["lastState"]?["terminated"]
        #expect(last?["message"]?.stringValue == "\(cause); killed; its last line was: bye")
    }

    @Test func whatTheNodeItselfEndedIsNoCrash() {
        var table = Table(observed: ["containerStatuses": [["restartCount": 3]]])
        let shutdown = ContainerExit(
            code: 143, signal: 15, started: table.now.wall, finished: table.now.wall, lastLine: "",
            reason: ContainerExit.shutdownReason)
        _ = table.on(
            .begin(.containers(["main": .init(.ended(attempt: 3, exit: shutdown), previous: shutdown, crashes: 0)])))
        _ = table.on(.prepared(address: "a"))
        _ = table.on(.main(.started(at: table.now.wall)))
        #expect(
            table.on(table.exit(1)) == [.main(.start(attempt: 5))], "the first crash is followed by a start at once")
        #expect(table.machine.container("main")?.crashes == 1)

        // The next agent goes on counting where this one was.
        var next = Table(observed: ["containerStatuses": [["restartCount": 4]]])
        _ = next.on(
            .begin(
                .containers(["main": .init(.running(attempt: 4, started: next.now.wall), previous: nil, crashes: 1)])))
        _ = next.on(.prepared(address: "a"))
        #expect(next.on(next.exit(1)) == [])
        #expect(next.machine.wakeAt == next.now.monotonic + .seconds(10))
    }

    @Test func aPodThatIsNotReadySaysWhy() {
        var table = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"],
                    "readinessProbe": ["tcpSocket": ["port": 3000], "failureThreshold": 1],
                ]
            ]
        })
        table.run()
        func message() -> String {
            let conditions = table.status()["conditions"]?.arrayValue ?? []
            return conditions.first { $0["type"]?.stringValue == "Ready" }?["message"]?.stringValue ?? ""
        }
        #expect(message() == "containers with unready status: [main]")
        _ = table.on(.main(.probed(.readiness, attempt: 0, isSuccess: false, message: "it answers 503 after 12 ms")))
        let said = "containers with unready status: [main]: the readiness probe failed: it answers 503 after 12 ms"
        #expect(message() == said)
        table.after(.seconds(10))
        _ = table.on(.tick)
        _ = table.on(.main(.probed(.readiness, attempt: 0, isSuccess: false, message: "it answers 503 after 99 ms")))
        #expect(message() == said, "other numbers are no news")
        _ = table.on(table.exit(9))
        _ = table.on(.main(.started(at: table.now.wall)))
        _ = table.on(table.exit(9))
        #expect(message().contains("it ended with exit code 9; its last line was: last words"))
    }

    @Test func aContainerThatIsBeingStoppedDoesNotComplainOfItsProbe() {
        var table = Table({
            $0["spec"]?["containers"] = [
                [
                    "name": "main", "command": ["/bin/web"],
                    "readinessProbe": ["tcpSocket": ["port": 3000], "failureThreshold": 1],
                ]
            ]
        })
        table.run()
        _ = table.on(.main(.probed(.readiness, attempt: 0, isSuccess: true, message: "")))
        _ = table.on(.deletionRequested(grace: .seconds(30)))
        let actions = table.machine.on(
            .main(.probed(.readiness, attempt: 0, isSuccess: false, message: "refused")), now: table.now)
        #expect(!actions.contains { if case .event = $0 { true } else { false } })
    }

    @Test func aPodThisNodeCannotRunSaysWhy() {
        var table = Table({ $0["spec"]?["containers"] = [["name": "a", "args": []]] })
        #expect(table.on(.begin(.containers([:]))) == [])
        let waiting = table.status()["containerStatuses"]?.arrayValue?.first?["state"]?["waiting"]
        #expect(
            waiting?["message"]?.stringValue
                == "the container a has no command, and a process has no image to take it from")
        #expect(table.on(.deletionRequested(grace: .seconds(1))) == [.clean])
    }
}

extension PodMachine.Event {
    /// What happened to the container `main`.
    static func main(_ event: ContainerMachine.Event) -> Self { .container("main", event) }
}

extension PodMachine.Action {
    static func main(_ action: ContainerMachine.Action) -> Self { .container("main", action) }
}
