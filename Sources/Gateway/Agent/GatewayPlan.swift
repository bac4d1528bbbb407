package import Client
package import Documents
package import Seams

/// What the gateway agent knows and what follows from it: which table to send next, and which routes' status to write.
/// Pure; the agent feeds it watch events and the gateway's answers and does what it says. One task owns it.
///
/// One table is under way at a time: changes that come meanwhile are gathered into the next. A route's status says that
/// it is programmed only once a table computed from that generation of the route has been acknowledged.
package struct GatewayPlan: Sendable {
    package static let httpRoutes = GroupResource(group: "gateway.networking.k8s.io", resource: "httproutes")
    package static let services = GroupResource(group: "", resource: "services")
    package static let grants = GroupResource(group: "gateway.networking.k8s.io", resource: "referencegrants")
    package static let endpointSlices = GroupResource(group: "discovery.k8s.io", resource: "endpointslices")
    package static let watched = [httpRoutes, services, endpointSlices, grants]

    /// A table with what it says about each route.
    private struct Computed: Sendable {
        var table: RoutingTable
        var verdicts: [String: RouteVerdict]
        /// The generation of each route the table was computed from, by UID.
        var generations: [String: Int64]
    }

    private var routes: [ObjectKey: RouteDocument] = [:]
    private var serviceDocuments: [ObjectKey: ServiceDocument] = [:]
    private var slices: [ObjectKey: EndpointsDocument] = [:]
    private var grantDocuments: [ObjectKey: GrantDocument] = [:]
    /// The first events of a watch have been seen: what we know is everything there is.
    private var isComplete = false
    private var isDirty = false

    private var isLinked = false
    private var generation: UInt64 = 0
    private var latest: Computed?
    private var underWay: (generation: UInt64, computed: Computed)?
    private var acknowledged: Computed?
    /// Routes whose status may differ from what it should be.
    private var unsettled: Set<ObjectKey> = []
    /// What was written and has not come back through the watch, by UID.
    private var written: [String: JSON] = [:]

    package init() {}

    // MARK: What happens

    /// Events of a watch. With `isFirst`, they are all the documents there are, and what is not among them has gone.
    package mutating func onEvents(_ events: [WatchEvent], isFirst: Bool) {
        if isFirst {
            let old = (routes, serviceDocuments, slices, grantDocuments)
            (routes, serviceDocuments, slices, grantDocuments) = ([:], [:], [:], [:])
            for event in events { take(event) }
            isDirty =
                isDirty || !isComplete || old.1 != serviceDocuments || old.2 != slices || old.3 != grantDocuments
                || old.0.mapValues(\.withoutStatus) != routes.mapValues(\.withoutStatus)
            isComplete = true
            unsettled = Set(routes.keys)
        } else {
            for event in events { if take(event) { isDirty = true } }
        }
    }

    /// Notes one document; answers whether the table depends on what changed.
    @discardableResult
    private mutating func take(_ event: WatchEvent) -> Bool {
        let document = event.document
        let key = ObjectKey(event.resource, namespace: document.namespace, name: document.name)
        let isDeleted = event.kind == .deleted
        switch event.resource {
        case Self.httpRoutes:
            let route = isDeleted ? nil : RouteDocument(document)
            let old = routes.updateOrRemove(key, route)
            if let route {
                unsettled.insert(key)
                if written[route.uid] == route.status { written[route.uid] = nil }
            } else if let old {
                written[old.uid] = nil
            }
            return old?.withoutStatus != route?.withoutStatus
        case Self.services:
            let service = isDeleted ? nil : ServiceDocument(document)
            return serviceDocuments.updateOrRemove(key, service) != service
        case Self.endpointSlices:
            let slice = isDeleted ? nil : EndpointsDocument(document)
            return slices.updateOrRemove(key, slice) != slice
        case Self.grants:
            let grant = isDeleted ? nil : GrantDocument(document)
            return grantDocuments.updateOrRemove(key, grant) != grant
        default: return false
        }
    }

    /// A gateway answered, with the newest table it has. It is sent ours whatever it has, because only then do we know.
    package mutating func onLinked(generation: UInt64) {
        isLinked = true
        self.generation = max(self.generation, generation)
        underWay = nil
        acknowledged = nil
        isDirty = isComplete
    }

    package mutating func onLinkLost() {
        isLinked = false
        underWay = nil
        acknowledged = nil
    }

    package mutating func onAcknowledged(generation: UInt64) {
        guard let underWay, underWay.generation == generation else { return }
        self.underWay = nil
        acknowledged = underWay.computed
        unsettled.formUnion(routes.keys)
    }

    /// The gateway could not read a table. Nothing but a change of the documents can help.
    package mutating func onRefused(generation: UInt64) {
        if underWay?.generation == generation { underWay = nil }
    }

    // MARK: What follows

    /// The table to send now; `nil` where there is none, or one is still under way.
    package mutating func nextTable() -> (generation: UInt64, table: RoutingTable)? {
        guard isLinked, isComplete, isDirty, underWay == nil else { return nil }
        isDirty = false
        let (table, verdicts) = RoutingTable.compute(
            routes: routes.values, services: serviceDocuments.values, endpointSlices: slices.values,
            grants: grantDocuments.values)
        let computed = Computed(
            table: table, verdicts: verdicts,
            generations: Dictionary(
                routes.values.map { ($0.uid, $0.generation) }, uniquingKeysWith: { first, _ in first }))
        latest = computed
        if let acknowledged, acknowledged.table == table {
            self.acknowledged = computed
            unsettled.formUnion(routes.keys)
            return nil
        }
        generation += 1
        underWay = (generation, computed)
        return (generation, table)
    }

    /// The status documents to apply now, in the order of their keys. Each is offered once until it was `onWritten`.
    package mutating func nextStatuses(now: Instant) -> [(key: ObjectKey, uid: String, document: Document)] {
        guard let acknowledged else { return [] }
        var result: [(key: ObjectKey, uid: String, document: Document)] = []
        for key in unsettled.sorted() {
            guard let route = routes[key], let verdict = acknowledged.verdicts[route.uid],
                acknowledged.generations[route.uid] == route.generation
            else { continue }
            unsettled.remove(key)
            let current = written[route.uid] ?? route.status
            let wanted = RouteStatus.status(of: route, verdict: verdict, after: current, now: now)
            if wanted == current { continue }
            written[route.uid] = wanted
            result.append((key, route.uid, RouteStatus.document(of: route, status: wanted)))
        }
        unsettled.formIntersection(routes.keys)
        return result
    }

    /// A status could not be written: it is offered again.
    package mutating func onWriteFailed(_ key: ObjectKey, uid: String) {
        written[uid] = nil
        if routes[key] != nil { unsettled.insert(key) }
    }
}

extension Dictionary {
    /// Sets or removes a value and answers the one before.
    fileprivate mutating func updateOrRemove(_ key: Key, _ value: Value?) -> Value? {
        if let value { updateValue(value, forKey: key) } else { removeValue(forKey: key) }
    }
}

extension RouteDocument {
    fileprivate var withoutStatus: RouteDocument {
        var copy = self
        copy.resourceVersion = ""
        copy.status = .null
        return copy
    }
}
