internal import CBundle

/// The files that are part of the binary.
package enum BundledFiles {
    /// The definitions of our kinds and of the built-in ones, in YAML.
    package static let all: [(name: String, bytes: [UInt8])] = {
        var files: [(name: String, bytes: [UInt8])] = []
        for index in 0..<espalier_bundled_file_count {
            guard let file = espalier_bundled_file_at(index), let name = file.pointee.name,
                let bytes = file.pointee.bytes
            else {
                continue
            }
            files.append((String(cString: name), Array(UnsafeBufferPointer(start: bytes, count: file.pointee.count))))
        }
        return files
    }()

    /// The table that `ProtobufSchema` reads.
    static var protobufMessages: String {
        let file = espalier_protobuf_messages
        return String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.count), as: UTF8.self)
    }
}
