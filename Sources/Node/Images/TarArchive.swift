internal import Documents
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// A folder as a tar archive (POSIX.1-2001, pax), made while it is read. Owners are root's, as Docker's client has it: a
/// build's result does not depend on who builds. Sockets and devices are passed over, links are kept as links.
final class TarArchive: Sendable {
    private struct State {
        var next = 0
        var file: Int32 = -1
        /// Bytes of the open file that its header has promised.
        var remaining: Int64 = 0
        var padding = 0
        var isFinished = false
    }

    private let folder: String
    private let entries: [String]
    private let state = Mutex(State())

    /// Finds what is in `folder`; nothing is read yet.
    init(folder: String) async throws(ImageError) {
        self.folder = folder
        let found = await Self.inBackground { Self.entries(folder) }
        entries = try found.get()
    }

    deinit {
        let file = state.withLock { $0.file }
        if file >= 0 { close(file) }
    }

    func contains(_ path: String) -> Bool { entries.contains { $0.isSameBytes(as: path) } }

    /// The next bytes; `nil` at the end. One caller at a time.
    func next() async throws(ImageError) -> [UInt8]? {
        let outcome = await Self.inBackground { [self] in
            state.withLock { state in
                Result<[UInt8]?, ImageError> { () throws(ImageError) in try chunk(&state) }
            }
        }
        return try outcome.get()
    }

    /// Reading files may block, and no thread of the tasks may.
    private static func inBackground<Value: Sendable>(
        _ work: @escaping @Sendable () -> Result<Value, ImageError>
    ) async -> Result<Value, ImageError> {
        do {
            return try await NIOThreadPool.singleton.runIfActive { work() }
        } catch {
            return .failure(.cancelled)
        }
    }

    private static func entries(_ folder: String) -> Result<[String], ImageError> {
        var found: [String] = []
        var pending = [""]
        while let below = pending.popLast() {
            guard let listing = opendir(below.isEmpty ? folder : "\(folder)/\(below)") else {
                return .failure(failure("\(folder)/\(below)"))
            }
            defer { closedir(listing) }
            while let item = readdir(listing) {
                let name = withUnsafeBytes(of: item.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name == "." || name == ".." { continue }
                let path = below.isEmpty ? name : "\(below)/\(name)"
                found.append(path)
                if found.count > ImageLimits.contextFiles {
                    let most = ImageLimits.contextFiles
                    return .failure(
                        ImageError(.build, "expected at most \(most) files in the build context \(folder), found more"))
                }
                if item.pointee.d_type == DT_DIR { pending.append(path) }
            }
        }
        return .success(found.sorted { $0.precedesBytes(of: $1) })
    }

    private static func failure(_ path: String) -> ImageError {
        ImageError(.build, "the build context's \(path) cannot be read: \(String(cString: strerror(errno)))")
    }

    private func chunk(_ state: inout State) throws(ImageError) -> [UInt8]? {
        if state.file >= 0 { return try content(&state) }
        while state.next < entries.count {
            let path = entries[state.next]
            state.next += 1
            if let header = try header(path, &state) { return header }
        }
        if state.isFinished { return nil }
        state.isFinished = true
        return [UInt8](repeating: 0, count: 1024)
    }

    private func content(_ state: inout State) throws(ImageError) -> [UInt8] {
        let wanted = Int(min(state.remaining, Int64(ImageLimits.contextChunkBytes)))
        let file = state.file
        var bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            count = max(0, read(file, buffer.baseAddress, wanted))
        }
        // The file has become shorter since its size was promised: no image is to hold half of it.
        if bytes.isEmpty, wanted > 0 {
            let path = "\(folder)/\(entries[state.next - 1])"
            throw ImageError(.build, "the build context's \(path) changed while it was read")
        }
        state.remaining -= Int64(bytes.count)
        if state.remaining == 0 {
            bytes.append(contentsOf: [UInt8](repeating: 0, count: state.padding))
            close(state.file)
            state.file = -1
        }
        return bytes
    }

    /// The header of an entry, and of a file its descriptor; `nil` for what an archive does not take.
    private func header(_ path: String, _ state: inout State) throws(ImageError) -> [UInt8]? {
        let full = "\(folder)/\(path)"
        var status = stat()
        if lstat(full, &status) != 0 { throw Self.failure(full) }
        var header = TarHeader(path: path, mode: status.st_mode & 0o7777, modified: Int64(status.st_mtim.tv_sec))
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            header.kind = UInt8(ascii: "5")
            header.path += "/"
        case S_IFLNK:
            header.kind = UInt8(ascii: "2")
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(full, &target, target.count)
            if count < 0 { throw Self.failure(full) }
            header.link = String(decoding: target.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
        case S_IFREG:
            let file = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            if file < 0 { throw Self.failure(full) }
            if fstat(file, &status) != 0 { throw Self.failure(full) }
            header.size = Int64(status.st_size)
            if header.size == 0 {
                close(file)
                break
            }
            state.file = file
            state.remaining = header.size
            state.padding = (512 - Int(header.size % 512)) % 512
        default: return nil
        }
        return header.bytes
    }
}

/// The block before each entry; what does not fit into it goes into a block of its own before it.
private struct TarHeader {
    var path: String
    var mode: UInt32
    var modified: Int64
    var kind = UInt8(ascii: "0")
    var link = ""
    var size: Int64 = 0

    init(path: String, mode: UInt32, modified: Int64) {
        self.path = path
        self.mode = mode
        self.modified = modified
    }

    private static let nameBytes = 100
    /// The largest number of eleven octal digits.
    private static let octalSize: Int64 = 0o77_777_777_777

    var bytes: [UInt8] {
        var records: [UInt8] = []
        if path.utf8.count > Self.nameBytes { records += Self.record("path", path) }
        if link.utf8.count > Self.nameBytes { records += Self.record("linkpath", link) }
        if size > Self.octalSize { records += Self.record("size", String(size)) }
        let main = Self.block(path, mode, modified, kind, link, min(size, Self.octalSize))
        if records.isEmpty { return main }
        let padding = [UInt8](repeating: 0, count: (512 - records.count % 512) % 512)
        let name = "pax/\(path.utf8.count)"
        return Self.block(name, 0o644, modified, UInt8(ascii: "x"), "", Int64(records.count)) + records + padding + main
    }

    /// `length key=value` and a line's end; the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count
        while String(length).utf8.count + rest.utf8.count != length {
            length = String(length).utf8.count + rest.utf8.count
        }
        return Array("\(length)\(rest)".utf8)
    }

    private static func block(
        _ name: String, _ mode: UInt32, _ modified: Int64, _ kind: UInt8, _ link: String, _ size: Int64
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Collection<UInt8>, at offset: Int) {
            for (index, byte) in text.enumerated() { block[offset + index] = byte }
        }
        func octal(_ number: Int64, _ digits: Int) -> [UInt8] {
            let text = String(max(0, number), radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8.suffix(digits))
        }
        put(name.utf8.prefix(nameBytes), at: 0)
        put(octal(Int64(mode), 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(modified, 11), at: 136)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148)
        block[156] = kind
        put(link.utf8.prefix(nameBytes), at: 157)
        put(Array("ustar".utf8) + [0] + Array("00".utf8), at: 257)
        put("root".utf8, at: 265)
        put("root".utf8, at: 297)
        put(octal(block.reduce(Int64(0)) { $0 + Int64($1) }, 6) + [0], at: 148)
        return block
    }
}
