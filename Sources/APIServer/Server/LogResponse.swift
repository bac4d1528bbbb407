internal import Documents
internal import NIOCore
internal import NIOHTTP1

/// The client's end of a log, or of another text, that is being streamed. Belongs to the event loop of its connection.
final class LogResponse {
    private let exchange: APIExchange
    private var waiting: CheckedContinuation<Bool, Never>?
    private var hasBegun = false

    init(_ exchange: APIExchange) { self.exchange = exchange }

    /// Streams what `open` opens.
    func start(_ open: @escaping @Sendable () async throws(APIError) -> any PodLogStream) {
        let pump = LogPump(response: NIOLoopBound(self, eventLoop: exchange.response.eventLoop), open: open)
        // Bridges the event loop to the node, which waits for files and processes.
        let task = Task { await pump.run() }
        exchange.response.onClose { task.cancel() }
    }

    /// Sends a piece and resumes `continuation` once the client has taken enough: with false when it has gone.
    func send(_ piece: [UInt8], _ continuation: CheckedContinuation<Bool, Never>) {
        let response = exchange.response
        if !hasBegun {
            hasBegun = true
            response.begin(.ok, exchange.headers("text/plain"))
        }
        response.write(ByteBuffer(bytes: piece))
        if response.isWritable || !response.isOpen { return continuation.resume(returning: response.isOpen) }
        waiting = continuation
        response.onWritable { [self] in resumeWaiting() }
        response.onClose { [self] in resumeWaiting() }
    }

    private func resumeWaiting() {
        waiting?.resume(returning: exchange.response.isOpen)
        waiting = nil
    }

    func end(_ error: APIError?) {
        if let error { return hasBegun ? exchange.response.abort() : exchange.refuse(error) }
        if !hasBegun { exchange.response.begin(.ok, exchange.headers("text/plain")) }
        exchange.response.end()
    }
}

/// Carries a stream from its source to a client, as fast as the client reads.
private struct LogPump: Sendable {
    let response: NIOLoopBound<LogResponse>
    let open: @Sendable () async throws(APIError) -> any PodLogStream

    func run() async {
        do throws(APIError) {
            let stream = try await open()
            while let piece = try await stream.next() {
                if await send(piece) == false { break }
            }
            stream.cancel()
            end(nil)
        } catch {
            end(error)
        }
    }

    private func send(_ piece: [UInt8]) async -> Bool {
        await withCheckedContinuation { continuation in
            response.eventLoop.execute { response.value.send(piece, continuation) }
        }
    }

    private func end(_ error: APIError?) { response.eventLoop.execute { response.value.end(error) } }
}
