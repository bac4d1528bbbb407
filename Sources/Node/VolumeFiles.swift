internal import Documents

/// What is in the volumes of a pod that other documents fill: configMap, secret, downwardAPI and projected.
struct VolumeFiles: Sendable {
    /// One file of a volume.
    struct File: Sendable, Hashable {
        var path: String
        var bytes: [UInt8]
        var mode: UInt32
    }

    /// By volume name.
    var files: [String: [File]] = [:]
    /// Volumes that hold secrets, which lie in memory only.
    var isSecret: Set<String> = []

    /// Kinds of volumes whose files these are.
    static let kinds = ["configMap", "secret", "downwardAPI", "projected"]

    static func resolve(_ documents: inout PodDocuments) async throws(PodMaterials.Missing) -> VolumeFiles {
        var result = VolumeFiles()
        for volume in documents.specification.volumes {
            guard let name = volume["name"]?.stringValue, kinds.contains(where: { volume[$0] != nil }) else { continue }
            var volume = volume
            if let projected = volume["projected"] {
                var mode: JSONObject = [:]
                if let given = projected["defaultMode"] { mode["defaultMode"] = given }
                var files: [File] = []
                for source in projected["sources"]?.arrayValue ?? [] {
                    files += try await content(of: source, inheriting: mode, name, &documents)
                    if source["secret"] != nil { result.isSecret.insert(name) }
                }
                result.files[name] = files
                volume = [:]
            } else {
                result.files[name] = try await content(of: volume, inheriting: [:], name, &documents)
                if volume["secret"] != nil { result.isSecret.insert(name) }
            }
        }
        return result
    }

    private static func content(
        of source: JSON, inheriting mode: JSONObject, _ volume: String, _ documents: inout PodDocuments
    ) async throws(PodMaterials.Missing) -> [File] {
        let inherited = mode["defaultMode"]?.integerValue
        if let fields = source["downwardAPI"] {
            return try downward(fields, inherited, volume, documents)
        }
        guard let reference = source["configMap"] ?? source["secret"] else {
            let kinds = (source.objectValue?.keys).map { Array($0) } ?? []
            throw PodMaterials.Missing(
                "volume \(volume): expected configMap, secret or downwardAPI, found \(kinds.joined(separator: ", "))")
        }
        let name = reference["name"]?.stringValue ?? reference["secretName"]?.stringValue ?? ""
        let isOptional = reference["optional"]?.boolValue ?? false
        guard
            let document = try await documents.document(
                isSecret: source["secret"] != nil, name, isOptional: isOptional)
        else { return [] }
        let mode = reference["defaultMode"]?.integerValue ?? inherited ?? 0o644
        guard let items = reference["items"]?.arrayValue else {
            var files: [File] = []
            for key in PodDocuments.keys(document) {
                try check(key, volume)
                guard let bytes = PodDocuments.bytes(document, key) else { continue }
                files.append(File(path: key, bytes: bytes, mode: Self.mode(mode)))
            }
            return files
        }
        var files: [File] = []
        for item in items {
            let key = item["key"]?.stringValue ?? ""
            guard let bytes = PodDocuments.bytes(document, key) else {
                if isOptional { continue }
                throw PodMaterials.Missing("volume \(volume): \(document.kind) \(name) has no key \(key)")
            }
            let path = item["path"]?.stringValue ?? key
            try check(path, volume)
            files.append(File(path: path, bytes: bytes, mode: Self.mode(item["mode"]?.integerValue ?? mode)))
        }
        return files
    }

    private static func downward(
        _ fields: JSON, _ inherited: Int64?, _ volume: String, _ documents: PodDocuments
    ) throws(PodMaterials.Missing) -> [File] {
        let mode = fields["defaultMode"]?.integerValue ?? inherited ?? 0o644
        var files: [File] = []
        for item in fields["items"]?.arrayValue ?? [] {
            let path = item["path"]?.stringValue ?? ""
            try check(path, volume)
            let text: String
            if let resource = item["resourceFieldRef"] {
                text = try documents.resource(resource, default: "")
            } else {
                let field = item["fieldRef"]?["fieldPath"]?.stringValue ?? ""
                guard let value = documents.field(field) else {
                    throw PodMaterials.Missing("volume \(volume): no field \(field)")
                }
                text = value
            }
            files.append(
                File(path: path, bytes: Array(text.utf8), mode: Self.mode(item["mode"]?.integerValue ?? mode)))
        }
        return files
    }

    private static func check(_ path: String, _ volume: String) throws(PodMaterials.Missing) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let isInside = !path.isEmpty && !parts.contains("..") && !parts.contains(".") && !parts.contains("")
        // Names beginning so are the node's own: `VolumeWriter`.
        guard isInside, !path.hasPrefix("..") else {
            throw PodMaterials.Missing("volume \(volume): the path \"\(path)\" leaves the volume")
        }
    }

    private static func mode(_ number: Int64) -> UInt32 { UInt32(clamping: number) & 0o777 }
}
