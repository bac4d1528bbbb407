internal import Documents
internal import NIOHTTP1
internal import Store

/// `/debug/store/…`: what an operator asks of the store of a running server. Behind the same door as every path that is
/// no resource: authenticated, and allowed by the authorizer.
extension APIExchange {
    func runStore(_ operation: String) throws(APIError) {
        guard let maintenance = handler.maintenance else { return notFound() }
        let isRead = request.method == .GET
        guard isRead || request.method == .POST else { throw Self.methodNotAllowed }
        let revision = try query.integer("revision").map { Revision(rawValue: UInt64(clamping: $0)) }
        switch (operation, isRead) {
        case ("verify", true):
            stream {
                TextPieces(first: "checking the store beside the running server\n") { () throws(APIError) in
                    await maintenance.verify().lines
                }
            }
        case ("keys", true):
            stream {
                TextPieces(first: "") { () throws(APIError) in
                    await maintenance.keys().map { $0.joined(separator: "\t") }
                }
            }
        case ("rotate-key", false):
            stream {
                TextPieces(first: "rotating\n") { () throws(APIError) in
                    try await refusing { () throws(StoreError) in [try await maintenance.rotateKey(), "done"] }
                }
            }
        case ("reseal", false):
            stream {
                TextPieces(first: "resealing\n") { () throws(APIError) in
                    try await refusing { () throws(StoreError) in [try await maintenance.reseal(), "done"] }
                }
            }
        case ("snapshot", true):
            let writer = try refusingNow { () throws(StoreError) in try maintenance.store.snapshotWriter(at: revision) }
            stream { SnapshotPieces(writer) }
        case ("export", true):
            let store = maintenance.store
            let snapshot = try refusingNow { () throws(StoreError) in
                try revision.map { revision throws(StoreError) in try store.snapshot(at: revision) }
                    ?? store.snapshot(.durable)
            }
            stream { ExportPieces(snapshot) }
        default: notFound()
        }
    }

    private func stream(_ open: @escaping @Sendable () -> any PodLogStream) {
        LogResponse(self).start { () throws(APIError) in open() }
    }

    private func refusingNow<Result>(_ body: () throws(StoreError) -> Result) throws(APIError) -> Result {
        do throws(StoreError) { return try body() } catch { throw APIError(error) }
    }
}

private func refusing(_ body: () async throws(StoreError) -> [String]) async throws(APIError) -> [String] {
    do throws(StoreError) { return try await body() } catch { throw APIError(error) }
}

/// One answer in two pieces: a line at once, so that the client knows it is being served, and the rest when it is known.
private actor TextPieces: PodLogStream {
    private var first: String?
    private var body: (@Sendable () async throws(APIError) -> [String])?

    init(first: String, _ body: @escaping @Sendable () async throws(APIError) -> [String]) {
        self.first = first.isEmpty ? nil : first
        self.body = body
    }

    func next() async throws(APIError) -> [UInt8]? {
        if let line = first.take() { return Array(line.utf8) }
        guard let run = body.take() else { return nil }
        do throws(APIError) {
            return Array((try await run()).map { "\($0)\n" }.joined().utf8)
        } catch {
            // The answer has begun: the refusal is its last line.
            return Array("error: \(error.message)\n".utf8)
        }
    }

    nonisolated func cancel() {}
}

/// A snapshot file, a block at a time.
private actor SnapshotPieces: PodLogStream {
    private var writer: SnapshotWriter

    init(_ writer: SnapshotWriter) { self.writer = writer }

    func next() async throws(APIError) -> [UInt8]? {
        do throws(StoreError) { return try writer.next() } catch { throw APIError(error) }
    }

    nonisolated func cancel() {}
}

/// Every document of a snapshot, a line each.
private actor ExportPieces: PodLogStream {
    private let snapshot: Snapshot
    private var last: StoreKey?

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }

    func next() async throws(APIError) -> [UInt8]? {
        let page = snapshot.list(prefix: [], after: last, limit: 64)
        guard let end = page.last else { return nil }
        last = end.key
        do throws(StoreError) {
            var lines: [UInt8] = []
            for entry in page { lines += try entry.value.array + [UInt8(ascii: "\n")] }
            return lines
        } catch {
            throw APIError(error)
        }
    }

    nonisolated func cancel() {}
}
