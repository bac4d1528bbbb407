internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Turns SIGTERM and SIGINT into a callback. One per process. The handler itself only writes a byte to a pipe, which is
/// one of the few things a signal handler may do; an event loop reads the other end.
enum TerminationSignals {
    private static let pipeEnd = Atomic<Int32>(-1)

    /// Calls `onSignal` on `group`'s loop each time the process is asked to end.
    static func observe(on group: any EventLoopGroup, _ onSignal: @escaping @Sendable () -> Void) async throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw GatewayMessageError(message: "pipe for signals: \(String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        _ = try await NIOPipeBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SignalReader(onSignal))
                }
            }
            .takingOwnershipOfDescriptor(input: ends[0]).get()
        pipeEnd.store(ends[1], ordering: .sequentiallyConsistent)
        for number in [SIGTERM, SIGINT] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in
                var byte: UInt8 = 1
                _ = write(TerminationSignals.pipeEnd.load(ordering: .relaxed), &byte, 1)
            }
            sigaction(number, &action, nil)
        }
        // A terminal that closes, or a server that is upgraded, is no reason to stop serving.
        signal(SIGHUP, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
    }

    // SAFETY: touched on its channel's event loop only.
    private final class SignalReader: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer
        private let onSignal: @Sendable () -> Void
        init(_ onSignal: @escaping @Sendable () -> Void) { self.onSignal = onSignal }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) { onSignal() }
    }
}
