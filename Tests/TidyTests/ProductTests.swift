import Glibc
import Testing

@Suite("What is shipped")
struct ProductTests {
    @Test("every CRD and every built-in kind is bundled")
    func bundle() throws {
        let bundle = String(decoding: try #require(SourceTree.read("Sources/CBundle/bundle.c")), as: UTF8.self)
        let files = SourceTree.files(below: "crds") + SourceTree.files(below: "Sources/CBundle/kinds")
        #expect(files.count > 10)
        for file in files where file.path.hasSuffix(".yaml") {
            let isBundled = bundle.contains("/\(file.name)\"") || bundle.contains("\"\(file.name)\"")
            #expect(isBundled, "\(file.path): add an #embed to Sources/CBundle/bundle.c")
        }
    }

    /// Foundation costs 50 MB and start-up time, and brings text in a locale where bytes are meant.
    @Test("espalier does not link Foundation")
    func linkage() throws {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let folder = String(decoding: buffer[..<max(0, count)], as: UTF8.self).split(separator: "/").dropLast().joined(
            separator: "/")
        guard let binary = SourceTree.read("/\(folder)/espalier") else { return }  // only these tests were built
        let names = try ELF.neededLibraries(of: binary)
        #expect(names.contains("libc.so.6"))
        for name in ["libFoundation.so", "libFoundationNetworking.so", "lib_FoundationICU.so", "libXCTest.so"] {
            #expect(!names.contains(name), "espalier links \(name); which import brought it?")
        }
    }
}

/// The little of an ELF file (64 bit, little endian) that says what it links.
private enum ELF {
    struct Malformed: Error {}

    static func neededLibraries(of bytes: [UInt8]) throws -> [String] {
        func number(_ offset: Int, _ size: Int) throws -> Int {
            guard offset >= 0, offset + size <= bytes.count else { throw Malformed() }
            return bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else { throw Malformed() }
        let (table, size, count) = (try number(0x28, 8), try number(0x3A, 2), try number(0x3C, 2))
        let dynamicSection = 6
        for index in 0..<count where try number(table + index * size + 4, 4) == dynamicSection {
            let section = table + index * size
            let (start, length) = (try number(section + 24, 8), try number(section + 32, 8))
            let strings = try number(table + (try number(section + 40, 4)) * size + 24, 8)
            return try stride(from: start, to: start + length, by: 16).compactMap { entry in
                guard try number(entry, 8) == 1 else { return nil }
                let name = bytes[(strings + (try number(entry + 8, 8)))...].prefix { $0 != 0 }
                return String(decoding: name, as: UTF8.self)
            }
        }
        return []
    }
}
