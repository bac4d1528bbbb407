package import Documents
internal import Seams
internal import Synchronization

/// How a watch begins. In one stream with what follows, where the server marks the end of what was there (WatchList, Kubernetes
/// 1.32 and newer): one request, no pages in memory, nothing between a list and its watch. With a list elsewhere.
extension HTTPClient {
    package func watch(
        _ resources: [GroupResource], options: WatchOptions
    ) async throws(APIError) -> any WatchStream {
        var begun: [WatchedCollection?] = Array(repeating: nil, count: resources.count)
        for resource in resources { _ = try await information(of: resource) }  // asked for once, not by all at once
        let failure = await withTaskGroup(of: (Int, Result<WatchedCollection, APIError>).self) { group in
            for (position, resource) in resources.enumerated() {
                group.addTask { (position, await self.begin(resource, options.namespace)) }
            }
            var failure: APIError?
            for await (position, result) in group {
                switch result {
                case .success(let collection): begun[position] = collection
                case .failure(let error): failure = error
                }
            }
            return failure
        }
        guard let failure else { return HTTPWatch(client: self, collections: begun.compactMap(\.self)) }
        for collection in begun { collection?.stream?.cancel() }
        throw failure
    }

    private func begin(_ resource: GroupResource, _ namespace: String) async -> Result<WatchedCollection, APIError> {
        do throws(APIError) {
            let path = path(try await information(of: resource), namespace: namespace)
            var collection = WatchedCollection(resource: resource, path: path)
            if let begun = try await streamed(collection) { return .success(begun) }
            listsFirst.withLock { $0 = true }
            let list = try await list(resource, namespace: namespace, options: ListOptions())
            collection.events.ready = list.items.map { WatchEvent(.added, resource, $0) }
            collection.events.revision = list.resourceVersion
            return .success(collection)
        } catch {
            return .failure(error)
        }
    }

    /// The collection with everything that is there, read from the stream that goes on with what follows; `nil` where the
    /// server does not do that. A stream that breaks off before the mark has shown nobody knows how much: it is begun anew.
    private func streamed(_ collection: WatchedCollection) async throws(APIError) -> WatchedCollection? {
        var failure = APIError.unreachable("the watch could not be begun")
        for _ in 0..<ClientLimits.watchBeginnings {
            if listsFirst.withLock({ $0 }) { return nil }
            do throws(APIError) {
                return try await streamedOnce(collection)
            } catch {
                if Task.isCancelled || error.reason != .serviceUnavailable && error.reason != .expired { throw error }
                failure = error
            }
        }
        throw failure
    }

    private func streamedOnce(_ unbegun: WatchedCollection) async throws(APIError) -> WatchedCollection? {
        let query = Self.query([
            ("watch", "true"), ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"),
            ("allowWatchBookmarks", "true"), ("timeoutSeconds", String(ClientLimits.watchSeconds)),
        ])
        let stream: ByteStream
        do throws(APIError) {
            stream = try await self.stream(unbegun.path + query)
        } catch {
            if error.code == 400 || error.code == 422 { return nil }  // says that it does not know the parameters
            throw error
        }
        var collection = unbegun
        collection.stream = stream
        let deadline = SystemClock().monotonic() + ClientLimits.watchBeginning
        do throws(APIError) {
            while true {
                let goesOn = try collection.take()
                if collection.events.hasBegun { return collection }
                if !goesOn { throw APIError.unreachable("the watch ended before it had shown what is there") }
                let isPatient = SystemClock().monotonic() < deadline
                if isPatient, await says(stream) { continue }
                stream.cancel()
                if Task.isCancelled { throw APIError.unreachable("cancelled") }
                return nil
            }
        } catch {
            stream.cancel()
            throw error
        }
    }

    /// Whether the stream says something, or ends, before patience does.
    private func says(_ stream: ByteStream) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await stream.wait()
                return !Task.isCancelled
            }
            group.addTask { [patience] in
                try? await SystemClock().sleep(for: patience)  // throws only when cancelled, and then nobody listens
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}
