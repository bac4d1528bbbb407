internal import Glibc
internal import Seams

/// The two layers of a `CrashingDisk`: what the program sees, and what a crash is sure to leave.
struct DiskState: Sendable {
    /// A change of a file that is not synced.
    enum Change: Sendable {
        case write([UInt8], Int)
        case truncate(Int)

        func apply(to bytes: inout [UInt8]) {
            switch self {
            case .write(let new, let offset):
                if offset + new.count > bytes.count { Self.grow(&bytes, to: offset + new.count) }
                bytes.withUnsafeMutableBytes { target in
                    new.withUnsafeBytes {
                        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: $0)
                    }
                }
            case .truncate(let size):
                if size < bytes.count { bytes.removeLast(bytes.count - size) }
                if size > bytes.count { Self.grow(&bytes, to: size) }
            }
        }

        /// With zeros. By the C library: segments are made in their whole length, and a loop over their bytes that was
        /// not optimised took two fifths of the time of the store's crash tests.
        private static func grow(_ bytes: inout [UInt8], to size: Int) {
            let count = size - bytes.count
            bytes += [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                if let base = buffer.baseAddress { memset(base, 0, count) }
                initialized = count
            }
        }
    }

    struct Content: Sendable {
        var current: [UInt8] = []
        var durable: [UInt8] = []
        var unsynced: [Change] = []
    }

    /// A change of names that is not synced with its directory.
    enum Naming: Sendable {
        case link(String, Int)
        case unlink(String)
        case rename(String, String)
    }

    static let directory = -1
    static let sector = 512

    let random: SeededRandom
    var files: [Content] = []
    /// Paths to positions in `files`, or `directory`.
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]
    var unsyncedNames: [String: [Naming]] = [:]
    var locks: Set<String> = []
    var operations = 0
    var crashAt: Int?
    var failure: (number: Int, code: FileError.Code)?
    var capacity = Int.max
    var hasCrashed = false
    /// Gets a clone of the disk in the middle of each operation.
    var observer: (@Sendable (CrashingDisk, String) -> Void)?

    init(random: SeededRandom) { self.random = random }

    var contents: [(path: String, bytes: [UInt8])] {
        names.keys.sorted().compactMap { path in
            guard let number = names[path], number >= 0 else { return nil }
            return (path, files[number].current)
        }
    }

    // MARK: What the program does

    func checkAlive(_ operation: String, _ path: String) throws(FileError) {
        if hasCrashed { throw FileError(.failed(5), operation: operation, path: path, reason: "the disk has crashed") }
    }

    /// Counts an operation, and says whether the crash comes in the middle of it.
    private mutating func begin(_ operation: String, _ path: String) throws(FileError) -> Bool {
        try checkAlive(operation, path)
        operations += 1
        if let failure, failure.number == operations {
            throw FileError(failure.code, operation: operation, path: path, reason: "made to fail")
        }
        return crashAt == operations
    }

    /// The middle of an operation: its effect is under way, nothing of it is sure. The place of a crash, and of a clone.
    private mutating func middle(_ operation: String, _ path: String, crashes: Bool) throws(FileError) {
        if let observer {
            var clone = copied()
            clone.observer = nil
            observer(CrashingDisk(state: clone), operation)
        }
        if !crashes { return }
        hasCrashed = true
        try checkAlive(operation, path)
    }

    mutating func open(_ path: String, _ mode: OpenMode) throws(FileError) -> Int {
        guard case .create = mode else {
            try checkAlive("open", path)
            guard let number = names[path], number >= 0 else { throw missing("open", path) }
            return number
        }
        let crashes = try begin("open", path)
        if names[path] != nil { throw FileError(.exists, operation: "open", path: path, reason: "it exists") }
        try checkParent(path)
        files.append(Content())
        name(.link(path, files.count - 1))
        try middle("open", path, crashes: crashes)
        return files.count - 1
    }

    mutating func createDirectory(_ path: String) throws(FileError) {
        let crashes = try begin("create directory", path)
        if names[path] == nil {
            try checkParent(path)
            name(.link(path, Self.directory))
        }
        try middle("create directory", path, crashes: crashes)
    }

    func list(_ directory: String) throws(FileError) -> [String] {
        try checkAlive("list", directory)
        return names.keys.filter { FilePath.parent(of: $0) == directory && $0 != "/" }.map(FilePath.lastPart(of:))
            .sorted()
    }

    mutating func rename(_ source: String, to destination: String) throws(FileError) {
        let crashes = try begin("rename", source)
        if names[source] == nil { throw missing("rename", source) }
        name(.rename(source, destination))
        try middle("rename", source, crashes: crashes)
    }

    mutating func remove(_ path: String) throws(FileError) {
        let crashes = try begin("remove", path)
        if names[path] == nil { throw missing("remove", path) }
        name(.unlink(path))
        try middle("remove", path, crashes: crashes)
    }

    mutating func syncDirectory(_ path: String) throws(FileError) {
        let crashes = try begin("sync directory", path)
        try middle("sync directory", path, crashes: crashes)
        for naming in unsyncedNames[path] ?? [] { Self.apply(naming, to: &durableNames) }
        unsyncedNames[path] = nil
    }

    mutating func write(_ change: Change, to number: Int, _ path: String) throws(FileError) {
        let crashes = try begin("write", path)
        if case .write(let bytes, let offset) = change {
            let growth = max(0, offset + bytes.count - files[number].current.count)
            let free = capacity < .max ? max(0, capacity - contents.reduce(0) { $0 + $1.bytes.count }) : .max
            if growth > free {
                // As much as fits is written, as the kernel does it.
                let part = DiskState.Change.write(Array(bytes.prefix(max(0, bytes.count - growth) + free)), offset)
                part.apply(to: &files[number].current)
                files[number].unsynced.append(part)
                throw FileError(.noSpace, operation: "write", path: path, reason: "no space left")
            }
        }
        change.apply(to: &files[number].current)
        files[number].unsynced.append(change)
        try middle("write", path, crashes: crashes)
    }

    /// A failed sync forgets what it should have kept: a later one has nothing to write and succeeds.
    mutating func sync(_ number: Int, _ path: String) throws(FileError) {
        do {
            try middle("sync", path, crashes: try begin("sync", path))
        } catch {
            if !hasCrashed { files[number].unsynced = [] }
            throw error
        }
        for change in files[number].unsynced { change.apply(to: &files[number].durable) }
        files[number].unsynced = []
    }

    private func checkParent(_ path: String) throws(FileError) {
        let parent = FilePath.parent(of: path)
        if parent != "/", parent != ".", names[parent] != Self.directory { throw missing("open", path) }
    }

    private func missing(_ operation: String, _ path: String) -> FileError {
        FileError(.notFound, operation: operation, path: path, reason: "no such file")
    }

    private mutating func name(_ naming: Naming) {
        Self.apply(naming, to: &names)
        let path =
            switch naming {
            case .link(let path, _), .unlink(let path), .rename(_, let path): path
            }
        unsyncedNames[FilePath.parent(of: path), default: []].append(naming)
    }

    private static func apply(_ naming: Naming, to names: inout [String: Int]) {
        switch naming {
        case .link(let path, let number): names[path] = number
        case .unlink(let path): names[path] = nil
        case .rename(let source, let destination):
            // Without its source a rename has nothing to move: the creation before it was undone.
            guard let number = names[source] else { return }
            names[source] = nil
            names[destination] = number
        }
    }

    // MARK: What a crash leaves

    func restarted() -> DiskState {
        var next = DiskState(random: random)
        var names = durableNames
        for directory in unsyncedNames.keys.sorted() {
            let pending = unsyncedNames[directory] ?? []
            // Mostly the first few survive, as with a journal; sometimes any of them.
            let isOrdered = !random.oneIn(3)
            let survivors = random.next(below: pending.count + 1)
            for (index, naming) in pending.enumerated() where isOrdered ? index < survivors : random.oneIn(2) {
                Self.apply(naming, to: &names)
            }
        }
        for path in names.keys.sorted() {
            guard let number = names[path] else { continue }
            guard isReachable(path, names) else { continue }
            if number == Self.directory {
                next.names[path] = Self.directory
                continue
            }
            let bytes = survivor(of: files[number])
            next.files.append(Content(current: bytes, durable: bytes))
            next.names[path] = next.files.count - 1
        }
        next.durableNames = next.names
        return next
    }

    func copied() -> DiskState {
        var next = self
        next.locks = []
        next.hasCrashed = false
        next.crashAt = nil
        return next
    }

    mutating func alter(_ path: String, _ change: (inout [UInt8]) -> Void) {
        guard let number = names[path], number >= 0 else { return }
        change(&files[number].current)
        files[number].durable = files[number].current
        files[number].unsynced = []
    }

    private func isReachable(_ path: String, _ names: [String: Int]) -> Bool {
        let parent = FilePath.parent(of: path)
        return parent == "/" || parent == "." || (names[parent] == Self.directory && isReachable(parent, names))
    }

    /// One content a crash may leave: each sector as it was after some of the unsynced changes, torn between two such
    /// versions, or garbage where nothing durable stood; the size that of any version.
    private func survivor(of file: Content) -> [UInt8] {
        if file.unsynced.isEmpty { return file.durable }
        var versions = [file.durable]
        for change in file.unsynced {
            var bytes = versions[versions.count - 1]
            change.apply(to: &bytes)
            versions.append(bytes)
        }
        let size = versions[random.next(below: versions.count)].count
        // All or nothing is likely, and is what a disk with a working cache does most of the time.
        let uniform: Int? = random.oneIn(4) ? random.next(below: versions.count) : nil
        var result: [UInt8] = []
        result.reserveCapacity(size)
        for start in stride(from: 0, to: size, by: Self.sector) {
            let end = min(start + Self.sector, size)
            let first = Self.bytes(versions[uniform ?? random.next(below: versions.count)], start, end)
            let differs = versions.contains { Self.bytes($0, start, end) != first }
            if uniform != nil || !differs {
                result.append(contentsOf: first)
            } else {
                result.append(contentsOf: torn(first, versions, start, end))
            }
        }
        return result
    }

    private func torn(_ first: ArraySlice<UInt8>, _ versions: [[UInt8]], _ start: Int, _ end: Int) -> [UInt8] {
        switch random.next(below: 8) {
        case 0:
            let second = Self.bytes(versions[random.next(below: versions.count)], start, end)
            let cut = random.next(below: end - start + 1)
            return Array(first.prefix(cut)) + Array(second.dropFirst(cut))
        case 1 where Self.bytes(versions[0], start, end).allSatisfy { $0 == 0 }:
            return (start..<end).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        default:
            return Array(first)
        }
    }

    /// A part of a version, with zeros where it is not that long.
    private static func bytes(_ version: [UInt8], _ start: Int, _ end: Int) -> ArraySlice<UInt8> {
        if end <= version.count { return version[start..<end] }
        let there = start < version.count ? Array(version[start...]) : []
        return (there + Array(repeating: 0, count: end - start - there.count))[...]
    }
}
