internal import Glibc
internal import Synchronization

/// Why the server is to end.
enum StopReason: Sendable {
    /// SIGTERM, SIGINT: everything ends, the gateway and the pods too.
    case complete
    /// SIGHUP: the server alone ends; gateway and pods live on until the next server adopts them.
    case upgrade
}

/// The signals that end a server, received as bytes of a pipe: a handler may do little else than write one.
struct StopSignals: Sendable {
    private static let pipe = Mutex<(read: Int32, write: Int32)>((-1, -1))
    /// Read by the handler, which must not take a lock; written once, before the handler is installed.
    nonisolated(unsafe) private static var writeEnd: Int32 = -1

    init() {
        var ends: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutablePointer(to: &ends) { pointer in
            pointer.withMemoryRebound(to: Int32.self, capacity: 2) { Glibc.pipe($0) }
        }
        for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        precondition(made == 0, "a process that cannot open a pipe cannot serve")
        Self.pipe.withLock { $0 = ends }
        Self.writeEnd = ends.1
        for number in [SIGTERM, SIGINT, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(StopSignals.writeEnd, &byte, 1)
            }
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
    }

    /// The first signal that comes.
    func wait() async -> StopReason {
        let descriptor = Self.pipe.withLock { $0.read }
        return await withCheckedContinuation { continuation in
            // A thread of its own, because reading a pipe blocks.
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Waiter(descriptor, continuation))
            let started = pthread_create(&thread, nil, { argument in
                guard let argument else { return nil }
                Unmanaged<Waiter>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
            precondition(started == 0, "a process that cannot start a thread cannot serve")
            pthread_detach(thread)
        }
    }

    private final class Waiter {
        private let descriptor: Int32
        private let continuation: CheckedContinuation<StopReason, Never>

        init(_ descriptor: Int32, _ continuation: CheckedContinuation<StopReason, Never>) {
            self.descriptor = descriptor
            self.continuation = continuation
        }

        func run() {
            var byte: UInt8 = 0
            while read(descriptor, &byte, 1) != 1 {}
            continuation.resume(returning: Int32(byte) == SIGHUP ? .upgrade : .complete)
        }
    }
}
