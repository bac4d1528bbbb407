/// Every bound of the node agent, in one place.
package enum Limits {
    /// Restart back-off: none for the first restart, then 10 s, doubling, at most five minutes.
    package static let firstBackOff = Duration.seconds(10)
    package static let maximumBackOff = Duration.seconds(300)
    /// A container that ran this long has forgotten its earlier crashes.
    package static let backOffReset = Duration.seconds(600)
    /// How long what a container needs (a ConfigMap, an address) is waited for between two attempts.
    package static let firstPreparationRetry = Duration.milliseconds(200)
    package static let maximumPreparationRetry = Duration.seconds(10)
    /// Until its first success a readiness or startup probe without an initial delay is tried this often.
    package static let probeRamp: [Duration] = [
        .milliseconds(10), .milliseconds(20), .milliseconds(50), .milliseconds(100),
    ]
    /// … for this long; then at its own period.
    package static let probeRampTime = Duration.seconds(10)
    /// The same event of a pod is written at most this often; its count goes on meanwhile.
    package static let eventPause = Duration.seconds(10)
    /// Events of one pod: so many at once, then one each `eventRefill`.
    package static let eventBurst = 25
    package static let eventRefill = Duration.seconds(60)
    package static let eventsRemembered = 64
    /// The node's lease: a sign of life for people, so rare that a quiet server stays quiet.
    package static let leaseRenewal = Duration.seconds(3600)
    /// How often the container engine is asked whether it is there.
    package static let engineCheck = Duration.seconds(60)
    package static let statusRetry = Duration.seconds(1)
    /// How often it is looked whether the walls still stand.
    package static let wallsCheck = Duration.seconds(60)
    package static let watchRetry = Duration.milliseconds(200)

    package static let logFileBytes = 10 << 20
    /// Attempts of a container whose logs are kept: the running one and the one before.
    package static let attemptsKept = 2
    package static let lastLineBytes = 512
    package static let logChunkBytes = 64 << 10
    package static let logFollowPause = Duration.milliseconds(50)

    package static let commandOutputBytes = 1 << 20
    package static let commandTimeout = Duration.seconds(10)
    /// A port of a pod's own answers in no time, or its queue is full.
    package static let connectTimeout = Duration.seconds(5)
    /// For a shim that is asked for descriptors, and a helper that opens a terminal.
    package static let attachTimeout = Duration.seconds(10)
    /// A hook is cut off by its pod's grace period, or after this.
    package static let hookTimeout = Duration.seconds(300)
    package static let shimAnswerTimeout = Duration.seconds(20)
    package static let stateFileBytes = 1 << 20
    package static let probeAnswerBytes = 4096
    package static let ports = 20000..<32000
    package static let podUsers = 65_536
    /// Processes and threads of one pod.
    package static let podProcesses = 4096
    /// The kernel mounts no more.
    package static let imageLayers = 500
    /// Mounts of one container.
    package static let mounts = 250
    /// A container's /dev/shm, as with Docker and containerd.
    package static let sharedMemoryBytes = 64 << 20
    /// For the kernel to let go of control groups whose processes have ended.
    package static let groupRemovalTimeout = Duration.seconds(5)
    package static let specificationBytes = 4 << 20
}
