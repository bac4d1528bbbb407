package import Seams
internal import Synchronization

/// A disk in memory that crashes at the operation it is told to. What was not synced may be there afterwards or not,
/// each sector on its own; names that were not synced with their directory may be undone; a failed sync loses what it
/// was asked to keep. Every choice comes from the random source, so a seed replays it.
package final class CrashingDisk: FileSystem, Sendable {
    private let state: Mutex<DiskState>

    package init(random: SeededRandom) { state = Mutex(DiskState(random: random)) }

    init(state: DiskState) { self.state = Mutex(state) }

    /// Operations done so far: writing, naming and syncing ones. Reads are no crash points, as they leave nothing.
    package var operations: Int { state.withLock { $0.operations } }
    package var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

    /// Crashes in the middle of the operation with this number, counted from the disk's beginning.
    package func crash(atOperation number: Int) { state.withLock { $0.crashAt = number } }

    /// Fails the operation with this number, which then has not happened, and goes on.
    package func fail(atOperation number: Int, with code: FileError.Code) {
        state.withLock { $0.failure = (number, code) }
    }

    /// Calls `observer` in the middle of each operation with a clone of the disk and the operation's name: a crash point
    /// that costs no second run. It must not use this disk.
    package func observe(_ observer: (@Sendable (CrashingDisk, String) -> Void)?) {
        state.withLock { $0.observer = observer }
    }

    /// How many bytes all files together may take.
    package func limit(bytes: Int) { state.withLock { $0.capacity = bytes } }

    /// The disk after power has come back: some outcome that the crash allows, with no lock held.
    package func restarted() -> CrashingDisk { CrashingDisk(state: state.withLock { $0.restarted() }) }

    /// The disk as it is now, all of it, with no lock held: what a killed process leaves.
    package func copied() -> CrashingDisk { CrashingDisk(state: state.withLock { $0.copied() }) }

    /// Changes a file behind the program's back, durably: bit rot, or a meddling person.
    package func alter(_ path: String, _ change: (inout [UInt8]) -> Void) { state.withLock { $0.alter(path, change) } }

    /// Every file's content, for looking for what must not be there.
    package var contents: [(path: String, bytes: [UInt8])] { state.withLock { $0.contents } }

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let number = try state.withLock { state throws(FileError) in try state.open(path, mode) }
        return CrashingFile(disk: self, number: number, path: path)
    }

    package func createDirectory(_ path: String, permissions: UInt32) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.createDirectory(path) }
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        try state.withLock { state throws(FileError) in try state.list(directory) }
    }

    package func exists(_ path: String) throws(FileError) -> Bool {
        try state.withLock { state throws(FileError) in
            try state.checkAlive("look up", path)
            return state.names[path] != nil
        }
    }

    package func rename(_ source: String, to destination: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.rename(source, to: destination) }
    }

    package func remove(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.remove(path) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try state.withLock { state throws(FileError) in try state.syncDirectory(path) }
    }

    package func lock(_ path: String) throws(FileError) -> any FileLock {
        try state.withLock { state throws(FileError) in
            try state.checkAlive("lock", path)
            if !state.locks.insert(path).inserted {
                throw FileError(.locked, operation: "lock", path: path, reason: "held by another")
            }
        }
        return CrashingLock(disk: self, path: path)
    }

    fileprivate func withState<Result>(
        _ body: (inout DiskState) throws(FileError) -> Result
    ) throws(FileError) -> Result where Result: Sendable {
        try state.withLock { state throws(FileError) in try body(&state) }
    }

    fileprivate func unlock(_ path: String) { state.withLock { _ = $0.locks.remove(path) } }
}

/// An open file of a `CrashingDisk`.
private struct CrashingFile: File {
    let disk: CrashingDisk
    let number: Int
    let path: String

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        try disk.withState { state throws(FileError) in
            try state.checkAlive("read", path)
            let bytes = state.files[number].current
            return Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)])
        }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        try disk.withState { state throws(FileError) in try state.write(.write(bytes, offset), to: number, path) }
    }

    func truncate(to size: Int) throws(FileError) {
        try disk.withState { state throws(FileError) in try state.write(.truncate(size), to: number, path) }
    }

    func sync() throws(FileError) {
        try disk.withState { state throws(FileError) in try state.sync(number, path) }
    }

    func size() throws(FileError) -> Int {
        try disk.withState { state throws(FileError) in
            try state.checkAlive("stat", path)
            return state.files[number].current.count
        }
    }

    func close() {}
}

private struct CrashingLock: FileLock {
    let disk: CrashingDisk
    let path: String
    func release() { disk.unlock(path) }
}
