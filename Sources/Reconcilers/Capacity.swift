package import Documents

/// How much of what should run takes requests.
package enum Capacity: Int, Sendable, Comparable {
    /// Nothing does.
    case none
    /// Some of it does.
    case partial
    /// All of it does.
    case full

    package static func < (left: Capacity, right: Capacity) -> Bool { left.rawValue < right.rawValue }

    /// Of a Deployment, as its status says; a status of an older generation counts for nothing but what is available.
    package static func of(_ deployment: Document) -> Capacity {
        let wanted = deployment.spec.integer("replicas") ?? 1
        let available = deployment.status.integer("availableReplicas") ?? 0
        if available == 0 || wanted == 0 { return .none }
        let isCurrent = deployment.status["observedGeneration"]?.integerValue == deployment.generation
        return isCurrent && available >= wanted ? .full : .partial
    }
}
