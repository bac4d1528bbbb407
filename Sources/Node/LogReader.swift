internal import CShim
internal import Glibc

/// Reads a container's log: the file put aside, then the current one. Lines are `time stream tag text`.
struct LogReader {
    private var descriptor: Int32 = -1
    private let path: String
    private var inode: ino_t = 0

    init(_ path: String) { self.path = path }

    /// Opens at the first line that is to be shown.
    mutating func open(tailLines: Int?) {
        let aside = "\(path).1"
        guard let tailLines else {
            descriptor = Self.open(aside)
            if descriptor < 0 { openCurrent() }
            return
        }
        openCurrent()
        let (offset, found) = Self.offset(ofLast: tailLines, in: descriptor)
        lseek(descriptor, offset, SEEK_SET)
        guard found < tailLines, case let older = Self.open(aside), older >= 0 else { return }
        lseek(older, Self.offset(ofLast: tailLines - found, in: older).offset, SEEK_SET)
        close()
        descriptor = older
        // Not the current file's: at the end of this one, that one follows.
        inode = 0
    }

    private static func open(_ path: String) -> Int32 { Glibc.open(path, O_RDONLY | O_CLOEXEC) }

    private mutating func openCurrent() {
        descriptor = Self.open(path)
        var info = stat()
        if descriptor >= 0, fstat(descriptor, &info) == 0 { inode = info.st_ino }
    }

    /// The bytes that follow; empty at the end of what is there. Goes on to the next file where there is one.
    mutating func next() -> [UInt8] {
        if descriptor < 0 { openCurrent() }
        guard descriptor >= 0 else { return [] }
        var chunk = [UInt8](repeating: 0, count: Limits.logChunkBytes)
        var count = read(descriptor, &chunk, chunk.count)
        if count > 0 { return Array(chunk[..<count]) }
        var info = stat()
        guard stat(path, &info) == 0, info.st_ino != inode else { return [] }
        // What was still written before the file was put aside.
        count = read(descriptor, &chunk, chunk.count)
        if count > 0 { return Array(chunk[..<count]) }
        close()
        openCurrent()
        return next()
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Where the last `count` lines begin, and how many there are.
    static func offset(ofLast count: Int, in descriptor: Int32) -> (offset: Int, found: Int) {
        guard descriptor >= 0 else { return (0, 0) }
        var end = lseek(descriptor, 0, SEEK_END)
        var found = 0
        if count == 0 { return (end, 0) }
        var isLast = true
        while end > 0 {
            let start = max(0, end - Limits.logChunkBytes)
            var chunk = [UInt8](repeating: 0, count: end - start)
            guard pread(descriptor, &chunk, chunk.count, start) == chunk.count else { return (0, found) }
            for index in chunk.indices.reversed() where chunk[index] == 0x0A {
                // The file's own last line end closes a line and begins none.
                if isLast, start + index == end - 1 { isLast = false; continue }
                found += 1
                if found == count { return (start + index + 1, count) }
            }
            isLast = false
            end = start
        }
        return (0, found + 1)
    }

    /// The text of the last line of a log, cut short; for messages.
    static func lastLine(_ path: String) -> String {
        let descriptor = open(path)
        guard descriptor >= 0 else { return "" }
        defer { Glibc.close(descriptor) }
        let start = offset(ofLast: 1, in: descriptor).offset
        var chunk = [UInt8](repeating: 0, count: Limits.lastLineBytes + 64)
        let count = pread(descriptor, &chunk, chunk.count, start)
        guard count > 0 else { return "" }
        let line = chunk[..<count].prefix { $0 != 0x0A }
        return String(decoding: text(of: line).prefix(Limits.lastLineBytes), as: UTF8.self)
    }

    /// What the container wrote of a line of the file.
    static func text(of line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let parts = line.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count == 4 ? parts[3] : []
    }
}
