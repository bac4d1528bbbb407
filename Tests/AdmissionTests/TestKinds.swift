import Admission
import Documents
import Glibc

/// Files of the repository, read beside this source file.
enum TestFiles {
    static let root = String(#filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined())

    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen("\(root)/\(path)", "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    static func write(_ path: String, _ text: String) {
        guard let file = fopen("\(root)/\(path)", "w") else { return }
        fputs(text, file)
        fclose(file)
    }

    static func names(in folder: String) -> [String] {
        guard let directory = opendir("\(root)/\(folder)") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { !$0.hasPrefix(".") }.sorted()
    }

    static var rewrites: Bool { getenv("REWRITE").map { String(cString: $0) == "1" } ?? false }
}

/// Every resource definition of the repository, and the widgets of the tests.
enum TestKinds {
    static let documents: [Document] = {
        var files: [JSON] = []
        for folder in ["crds", "Sources/CBundle/kinds"] {
            for name in TestFiles.names(in: folder) {
                let parsed = try? YAMLReader.documents(in: TestFiles.read("\(folder)/\(name)") ?? [], file: name)
                files += (parsed ?? []).map(\.json)
            }
        }
        let path = "Tests/AdmissionTests/Golden/widgets.crd.yaml"
        files += ((try? YAMLReader.documents(in: TestFiles.read(path) ?? [], file: path)) ?? []).map(\.json)
        return (try? BundledKinds.documents(in: files)) ?? []
    }()

    static let definitions = documents.compactMap(ResourceDefinition.init(customResourceDefinition:))

    static func definition(of document: Document) -> ResourceDefinition? {
        let kind = document.groupVersionKind
        return definitions.first { $0.group == kind.group && $0.kind == kind.kind }
    }
}
