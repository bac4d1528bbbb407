internal import APIServer

/// The key under which contents of Secrets enter revision hashes, so that a hash tells nobody whether two contents are
/// equal. Losing it rolls every service that reads a Secret; it reveals nothing.
enum RevisionSecret {
    /// The bytes in `path`, made at the first start: 64 hexadecimal digits.
    static func load(_ path: String) throws -> [UInt8] {
        if let bytes = try PrivateFile.read(path) {
            if bytes.count == 64, bytes.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) { return bytes }
            throw Files.Failure(
                description:
                    "\(path): expected 64 hexadecimal digits; restore it from a backup, or remove it to get a new one")
        }
        let bytes = make()
        try PrivateFile.write(bytes, to: path)
        return bytes
    }

    /// A new one: 64 hexadecimal digits.
    static func make() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()  // the kernel's, so fit for keys
        let digits = Array("0123456789abcdef".utf8)
        return (0..<64).map { _ in digits[Int.random(in: 0..<16, using: &generator)] }
    }
}
