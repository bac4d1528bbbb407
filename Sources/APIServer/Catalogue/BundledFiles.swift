internal import CBundle

/// The YAML files that are part of the binary: the definitions of our kinds and of the built-in ones.
package enum BundledFiles {
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
}
