import Glibc

/// A file of the repository.
struct SourceFile: Sendable {
    /// From the root of the repository: `Sources/Store/Store.swift`.
    let path: String
    let bytes: [UInt8]
    let lines: [Substring]
    /// The lines with the insides of comments and strings blanked, for rules about code. Swift files have them alone.
    let codeLines: [Substring]

    init(path: String, bytes: [UInt8]) {
        func lines(_ bytes: [UInt8]) -> [Substring] {
            String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        }
        self.path = path
        self.bytes = bytes
        self.lines = lines(bytes)
        codeLines = path.hasSuffix(".swift") ? lines(CodeText.blanked(bytes)) : []
    }

    /// `Store` for `Sources/Store/Store.swift`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    var name: String { path.split(separator: "/").last.map(String.init) ?? "" }
    var isOurs: Bool { path.hasPrefix("Sources/") }
}

/// The repository these tests were built from.
enum SourceTree {
    static let root: String = {
        let file = "\(#filePath)".split(separator: "/")
        return "/" + file.dropLast(3).joined(separator: "/")
    }()

    static let swiftFiles: [SourceFile] = (files(below: "Sources") + files(below: "Tests")).filter {
        $0.path.hasSuffix(".swift")
    }

    /// All files below a folder, by path.
    static func files(below folder: String) -> [SourceFile] {
        guard let directory = opendir("\(root)/\(folder)") else { return [] }
        defer { closedir(directory) }
        var found: [SourceFile] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = "\(folder)/\(name)"
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += files(below: path)
            } else if let bytes = read(path) {
                found.append(SourceFile(path: path, bytes: bytes))
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    /// The bytes of a file, by its path from the root or from `/`.
    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path.hasPrefix("/") ? path : "\(root)/\(path)", "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return bytes
    }
}
