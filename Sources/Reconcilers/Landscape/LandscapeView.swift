internal import ControlLoop
package import Documents

/// A Landscape as its loop reads it.
package struct LandscapeView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package var name: String { document.name }
    package var namespace: String { document.namespace }
    package var services: [JSON] { document.spec.elements("services") }
    package var routes: [JSON] { document.spec.elements("routes") }
    package var managedServices: [JSON] { document.spec.elements("managedServices") }
    package var rollout: JSON { document.spec["rollout"] ?? [:] }

    /// How many pods a service should have. A service that may be turned off while unused stays on as long as nothing
    /// here notices that it is unused.
    package func replicas(_ service: String) -> Int {
        max(1, document.spec.named(service, in: "services")?["scale"]?.integer("min") ?? 1)
    }

    package var strategy: String {
        let steps = rollout.elements("steps")
        return rollout["strategy"]?.stringValue ?? (steps.isEmpty ? "BlueGreen" : "Canary")
    }
}

/// What the loops must be told by the composition root.
package struct LoopSettings: Sendable {
    /// Key for hashes of secret content; 32 random bytes, kept beside the store's keys.
    package let secretKey: [UInt8]
    /// The port of the gateway as people reach it; left out of URLs when it is the scheme's own.
    package let publicPort: Int
    package let publicScheme: String
    /// What the schedules of CronJobs may name.
    package let zones: TimeZones

    package init(secretKey: [UInt8], publicPort: Int, publicScheme: String = "http", zones: TimeZones = .utc) {
        self.zones = zones
        self.secretKey = secretKey
        self.publicPort = publicPort
        self.publicScheme = publicScheme
    }
}
