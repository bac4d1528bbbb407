import Glibc

/// Stands for Synchronization's `Mutex` under ThreadSanitizer, which does not see the futex inside that one and would
/// report every access it guards. The same promise over a lock the sanitizer knows; `hack/lib/store_package thread` puts
/// it in place.
package struct Mutex<Value>: @unchecked Sendable {
    // SAFETY: `value` is reached only through `withLock`, under `lock`.
    private final class Storage {
        let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        var value: Value

        init(_ value: consuming Value) {
            self.value = value
            pthread_mutex_init(lock, nil)
        }

        deinit {
            pthread_mutex_destroy(lock)
            lock.deallocate()
        }
    }

    private let storage: Storage

    package init(_ value: consuming sending Value) { storage = Storage(value) }

    package func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(storage.lock)
        defer { pthread_mutex_unlock(storage.lock) }
        return try body(&storage.value)
    }
}
