internal import Glibc
internal import Journal
internal import Synchronization

/// How a server is asked to end.
enum StopSignal: Sendable {
    /// SIGTERM and SIGINT: everything ends, gateway and pods too.
    case stop
    /// SIGHUP: the server alone ends, for an upgrade; the next one takes gateway and pods over.
    case leave
}

/// Turns signals into values. A handler may do next to nothing, so it writes one byte to a pipe; a thread reads the other end.
enum StopSignals {
    private static let pipeEnd = Atomic<Int32>(-1)

    /// The signals from now on. Called once, before anything else starts.
    static func observe() throws(Files.Failure) -> AsyncStream<StopSignal> {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw Files.Failure(description: "no pipe for signals: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        pipeEnd.store(ends[1], ordering: .sequentiallyConsistent)
        let (stream, continuation) = AsyncStream.makeStream(of: StopSignal.self)
        let input = ends[0]
        _ = DedicatedThread(name: "signals") {
            var byte: UInt8 = 0
            while true {
                let count = read(input, &byte, 1)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { return }
                continuation.yield(byte == UInt8(SIGHUP) ? .leave : .stop)
            }
        }
        for number in [SIGTERM, SIGINT, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(StopSignals.pipeEnd.load(ordering: .relaxed), &byte, 1)
            }
            sigaction(number, &action, nil)
        }
        return stream
    }
}
