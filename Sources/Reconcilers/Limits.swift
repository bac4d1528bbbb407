/// What the reconcilers refuse to go beyond.
package enum ReconcilerLimits {
    /// Length of the names of children, so that pods named after them stay valid host names.
    package static let nameBytes = 52
    /// Revisions of a landscape that are kept beside those that run.
    package static let revisionsKept = 20
    /// Finished attempts of a landscape to go live that are kept.
    package static let rolloutsKept = 10
    /// Endpoints in one EndpointSlice, as Kubernetes has it.
    package static let endpointsPerSlice = 100
    /// Pods one ReplicaSet may have.
    package static let replicas = 1_000
    /// How long a step of a rollout may take, unless the landscape says otherwise.
    package static let progressDeadline: Duration = .seconds(600)
    /// How long the previous revision stays warm, unless the landscape says otherwise.
    package static let keepPrevious: Duration = .seconds(600)
    /// How long a pod without a readiness probe must have run to count as available.
    package static let unprobedReadySeconds: Int64 = 2
    /// How long a failed pod stays before it is replaced, so that a pod that fails at once does not fail a thousand times.
    package static let failedPodRest: Duration = .seconds(10)
    /// How long a Job rests after a failure; doubled with each failure in a row, up to the second.
    package static let jobBackOff: Duration = .seconds(10)
    package static let longestJobBackOff: Duration = .seconds(360)
    /// Pods one Job makes in one pass.
    package static let podsMadeAtOnce = 500
    /// UIDs of ended pods a Job's status holds before they are counted.
    package static let uncountedPods = 500
    /// Pods of nobody that have ended and are kept, in each namespace. Kubernetes keeps 12,500 in all.
    package static let terminatedPodsKept = 500
    /// Missed times of a schedule from which on they are many.
    package static let missedRuns = 100
    /// Zones of the time zone database.
    package static let timeZones = 2_000
}
