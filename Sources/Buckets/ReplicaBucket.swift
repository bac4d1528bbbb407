internal import Dispatch
package import Seams
package import Store
internal import Synchronization

/// A replica's objects in a bucket. Calls wait for the network: make them on a thread that may.
package struct ReplicaBucket: ReplicaTarget {
    private let client: BucketClient

    package init(_ settings: BucketSettings, clock: any Clock) throws(BucketError) {
        client = try BucketClient(settings, clock: clock)
    }

    package func put(_ name: String, _ content: ReplicaContent) throws(StoreError) {
        if content.size <= BucketLimits.partBytes {
            let body = try content.read(0, content.size)
            return try wait { [client] () throws(BucketError) in try await client.put(name, body) }
        }
        let upload = try wait { [client] () throws(BucketError) in try await client.beginParts(name) }
        do throws(StoreError) {
            let tags = try putParts(of: content, name, upload)
            try wait { [client] () throws(BucketError) in try await client.finishParts(name, upload, tags: tags) }
        } catch {
            // Parts that stay are not seen, and paid for: the bucket's own rules remove them where this fails.
            try? wait { [client] () throws(BucketError) in try await client.abandonParts(name, upload) }
            throw error
        }
    }

    private func putParts(
        of content: ReplicaContent, _ name: String, _ upload: String
    ) throws(StoreError) -> [String] {
        var tags: [String] = []
        for offset in stride(from: 0, to: content.size, by: BucketLimits.partBytes) {
            let body = try content.read(offset, min(BucketLimits.partBytes, content.size - offset))
            let number = tags.count + 1
            tags.append(
                try wait { [client] () throws(BucketError) in
                    try await client.putPart(name, upload, number: number, body)
                })
        }
        return tags
    }

    package func get(_ name: String, at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        try wait { [client] () throws(BucketError) in try await client.get(name, at: offset, count: count) }
    }

    package func list() throws(StoreError) -> [String] {
        try wait { [client] () throws(BucketError) in try await client.list() }
    }

    package func remove(_ name: String) throws(StoreError) {
        try wait { [client] () throws(BucketError) in try await client.remove(name) }
    }

    /// Runs `body` to its end while the calling thread waits.
    private func wait<Result: Sendable>(
        _ body: @escaping @Sendable () async throws(BucketError) -> Result
    ) throws(StoreError) -> Result {
        let outcome = Outcome<Result>()
        let done = DispatchSemaphore(value: 0)
        // Bridges a thread that may wait to the event loops of the connection.
        Task {
            do throws(BucketError) {
                let result = try await body()
                outcome.value.withLock { $0 = .success(result) }
            } catch {
                outcome.value.withLock { $0 = .failure(error) }
            }
            done.signal()
        }
        done.wait()
        switch outcome.value.withLock({ $0 }) {
        case .success(let result): return result
        case .failure(let error): throw error.isFull ? .full(reason: "\(error)") : .fileSystem(reason: "\(error)")
        case nil: preconditionFailure("the wait for a request ended before it")
        }
    }

    /// How a request ended, once it has.
    private final class Outcome<Value: Sendable>: Sendable {
        let value = Mutex<Result<Value, BucketError>?>(nil)
    }
}
