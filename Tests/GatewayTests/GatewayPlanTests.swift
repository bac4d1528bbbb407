import Client
import Documents
import Gateway
import Seams
import Testing

/// Which tables are sent and which statuses written, event by event.
@Suite struct GatewayPlanTests {
    static func event(_ kind: WatchEvent.Kind, _ resource: GroupResource, _ text: String) -> WatchEvent {
        WatchEvent(kind, resource, TableComputationTests.document(text))
    }

    static func route(
        _ kind: WatchEvent.Kind = .added, generation: Int = 1, status: JSON? = nil, version: Int = 7
    ) -> WatchEvent {
        var event = event(
            kind, GatewayPlan.httpRoutes,
            "{metadata: {name: r, namespace: \"n\", uid: u, generation: \(generation), resourceVersion: \"\(version)\"}, "
                + "spec: {hostnames: [a\(generation).test], rules: [{backendRefs: [{name: web, port: 80}]}]}}")
        if let status { event.document["status"] = status }
        return event
    }

    static let web = event(
        .added, GatewayPlan.services, "{metadata: {name: web, namespace: \"n\"}, spec: {ports: [{port: 80}]}}")

    static func slice(_ kind: WatchEvent.Kind, _ address: String) -> WatchEvent {
        event(
            kind, GatewayPlan.endpointSlices,
            "{metadata: {name: web-1, namespace: \"n\", labels: {kubernetes.io/service-name: web}}, "
                + "endpoints: [{addresses: [\(address)]}], ports: [{port: 8080}]}")
    }

    static let now = Instant(seconds: 1_800_000_000)

    static func conditions(_ document: Document) -> [String] {
        (document.status["parents"]?.arrayValue?.first?["conditions"]?.arrayValue ?? []).map {
            "\($0["type"]?.stringValue ?? "")=\($0["status"]?.stringValue ?? "") \($0["observedGeneration"]?.integerValue ?? 0)"
        }
    }

    /// A plan that has sent its first table, with a route and its Service.
    static func started() -> GatewayPlan {
        var plan = GatewayPlan()
        plan.onLinked(generation: 0)
        plan.onEvents([route(), web], isFirst: true)
        let sent = plan.nextTable()
        #expect(sent?.generation == 1)
        return plan
    }

    @Test func sendsNothingBeforeItKnowsEverything() {
        var plan = GatewayPlan()
        plan.onLinked(generation: 7)
        let early = plan.nextTable()
        plan.onEvents([Self.route(), Self.web], isFirst: true)
        let sent = plan.nextTable()
        let again = plan.nextTable()
        #expect(early == nil && again == nil)
        #expect(sent?.generation == 8)
        #expect(sent?.table.hosts.map(\.name) == ["a1.test"])
    }

    @Test func writesStatusOnlyAfterTheAcknowledgement() {
        var plan = Self.started()
        let early = plan.nextStatuses(now: Self.now)
        // A new generation while the table is under way: the acknowledgement is not about it.
        plan.onEvents([Self.route(.modified, generation: 2)], isFirst: false)
        plan.onAcknowledged(generation: 1)
        let stale = plan.nextStatuses(now: Self.now)
        #expect(early.isEmpty && stale.isEmpty)
        let next = plan.nextTable()
        #expect(next?.generation == 2)
        plan.onAcknowledged(generation: 2)
        let written = plan.nextStatuses(now: Self.now)
        #expect(written.map(\.key.name) == ["r"])
        #expect(
            written.map { Self.conditions($0.document) } == [
                ["Accepted=True 2", "ResolvedRefs=True 2", "espalier.dev/Programmed=True 2"]
            ])
    }

    @Test func writesNothingTwice() throws {
        var plan = Self.started()
        plan.onAcknowledged(generation: 1)
        let first = plan.nextStatuses(now: Self.now)
        let written = try #require(first.first).document.status
        let later = Self.now + .seconds(60)
        // Before the write has come back, after it has, and after a new start of the watch.
        plan.onEvents([Self.slice(.added, "10.0.0.1")], isFirst: false)
        let table = plan.nextTable()
        plan.onAcknowledged(generation: 2)
        let before = plan.nextStatuses(now: later)
        plan.onEvents([Self.route(.modified, status: written)], isFirst: false)
        let afterTable = plan.nextTable()
        let after = plan.nextStatuses(now: later)
        plan.onEvents([Self.route(.added, status: written), Self.web, Self.slice(.added, "10.0.0.1")], isFirst: true)
        let againTable = plan.nextTable()
        let again = plan.nextStatuses(now: later)
        #expect(table != nil && afterTable == nil && againTable == nil)
        #expect(before.isEmpty && after.isEmpty && again.isEmpty)
    }

    /// A route made again under the same name has the same generation: the version tells which one the gateway serves.
    @Test func pinsAStatusToTheRouteItIsAbout() throws {
        var plan = Self.started()
        plan.onAcknowledged(generation: 1)
        let document = try #require(plan.nextStatuses(now: Self.now).first).document
        #expect(document.resourceVersion == "7")
        let written = Self.route(.modified, status: document.status, version: 8)
        plan.onEvents([written], isFirst: false)
        let table = plan.nextTable()
        #expect(table == nil, "a new version alone is no change of the table")
    }

    @Test func offersAFailedWriteAgain() throws {
        var plan = Self.started()
        plan.onAcknowledged(generation: 1)
        let attempt = try #require(plan.nextStatuses(now: Self.now).first)
        let meanwhile = plan.nextStatuses(now: Self.now)
        plan.onWriteFailed(attempt.key, uid: attempt.uid)
        let retried = plan.nextStatuses(now: Self.now)
        #expect(meanwhile.isEmpty && retried.count == 1)
    }

    @Test func keepsTheTimeOfTheLastTransition() throws {
        var plan = Self.started()
        plan.onAcknowledged(generation: 1)
        let first = try #require(plan.nextStatuses(now: Self.now).first).document
        // The Service goes: ResolvedRefs turns, the others stay.
        let gone = Self.event(.deleted, GatewayPlan.services, "{metadata: {name: web, namespace: \"n\"}}")
        plan.onEvents([Self.route(.modified, status: first.status), gone], isFirst: false)
        let table = plan.nextTable()?.table
        #expect(table?.backends.first?.isMissing == true)
        plan.onAcknowledged(generation: 2)
        let second = try #require(plan.nextStatuses(now: Self.now + .seconds(60)).first).document
        #expect(
            Self.conditions(second) == ["Accepted=True 1", "ResolvedRefs=False 1", "espalier.dev/Programmed=True 1"])
        let times = (second.status["parents"]?.arrayValue?.first?["conditions"]?.arrayValue ?? []).map {
            $0["lastTransitionTime"]?.stringValue
        }
        #expect(times == [Self.now.rfc3339, (Self.now + .seconds(60)).rfc3339, Self.now.rfc3339])
    }

    @Test func gathersChangesWhileATableIsUnderWay() {
        var plan = Self.started()
        for last in 1...20 {
            plan.onEvents([Self.slice(.modified, "10.0.0.\(last)")], isFirst: false)
            let early = plan.nextTable()
            #expect(early == nil)
        }
        plan.onAcknowledged(generation: 1)
        let next = plan.nextTable()
        #expect(next?.generation == 2)
        #expect(next?.table.backends.first?.endpoints == ["10.0.0.20:8080"])
    }

    @Test func sendsEverythingToANewGateway() {
        var plan = Self.started()
        plan.onLinkLost()
        let unlinked = plan.nextTable()
        plan.onLinked(generation: 0)
        let sent = plan.nextTable()
        plan.onAcknowledged(generation: 1)  // of the gateway before
        let early = plan.nextStatuses(now: Self.now)
        #expect(unlinked == nil && sent?.generation == 2 && early.isEmpty)
    }
}
