internal import Crypto
package import Seams

/// The keys that seal values before they reach the log. Records name the key that sealed them, so old keys stay usable.
package struct SealingKeys: Sendable {
    /// Keys by the number records name them with.
    private let keys: [UInt16: SymmetricKey]
    /// The key that seals what is written now.
    let current: UInt16

    /// Bytes by which a sealed value is longer: nonce and tag.
    static let overhead = 28

    private static let fileStart = Array("espalier-key-1 ".utf8)

    private init(keys: [UInt16: SymmetricKey], current: UInt16) {
        self.keys = keys
        self.current = current
    }

    /// A key that is kept nowhere: for tests and simulations.
    package static func ephemeral() -> SealingKeys { SealingKeys(keys: [1: SymmetricKey(size: .bits256)], current: 1) }

    /// The keys in `directory`, one file each, readable by the owner alone. The first start makes directory and key;
    /// the newest key seals.
    package static func load(directory: String, fileSystem: any FileSystem) throws(StoreError) -> SealingKeys {
        do {
            try fileSystem.createDirectory(directory, permissions: 0o700)
            // Two first starts at once must not make two keys, of which one would be lost.
            let lock = try fileSystem.lock("\(directory)/lock")
            defer { lock.release() }
            var keys: [UInt16: SymmetricKey] = [:]
            for name in try fileSystem.list(directory) where name.hasSuffix(".key") {
                guard let number = UInt16(name.dropLast(4)), number > 0 else { continue }
                keys[number] = try key(in: fileSystem.readFile("\(directory)/\(name)"), path: "\(directory)/\(name)")
            }
            if let newest = keys.keys.max() { return SealingKeys(keys: keys, current: newest) }
            let key = SymmetricKey(size: .bits256)
            try fileSystem.replaceFile("\(directory)/1.key", with: text(of: key), permissions: 0o600)
            try fileSystem.syncDirectory(FilePath.parent(of: directory))
            return SealingKeys(keys: [1: key], current: 1)
        } catch let error as FileError {
            if error.code == .locked { throw .locked(path: directory) }
            throw .fileSystem(reason: error.description)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
    }

    /// Encrypts a value so that it opens only under its own key and revision.
    func seal(_ value: [UInt8], key: StoreKey, revision: Revision) throws(StoreError) -> [UInt8] {
        guard let sealing = keys[current] else { throw .sealed(reason: "sealing key \(current) is missing") }
        do {
            let box = try AES.GCM.seal(value, using: sealing, authenticating: Self.binding(key, revision))
            guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
            return Array(combined)
        } catch {
            throw .sealed(reason: "\(key) cannot be sealed: \(error)")
        }
    }

    func open(_ sealed: [UInt8], with identifier: UInt16, key: StoreKey, revision: Revision) throws(StoreError)
        -> [UInt8]
    {
        guard let opening = keys[identifier] else {
            throw .sealed(
                reason:
                    "\(key) is sealed with key \(identifier), which is missing: put \(identifier).key back"
            )
        }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed)
            return Array(try AES.GCM.open(box, using: opening, authenticating: Self.binding(key, revision)))
        } catch {
            throw .sealed(
                reason:
                    "\(key) at revision \(revision) does not open with key \(identifier): put back its own key"
            )
        }
    }

    private static func binding(_ key: StoreKey, _ revision: Revision) -> [UInt8] {
        var bytes = key.bytes
        bytes.append(0)
        withUnsafeBytes(of: revision.rawValue.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    private static func text(of key: SymmetricKey) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        let hexadecimal = key.withUnsafeBytes { $0.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } }
        return fileStart + hexadecimal + [UInt8(ascii: "\n")]
    }

    private static func key(in text: [UInt8], path: String) throws(StoreError) -> SymmetricKey {
        let digits = String(
            decoding: text.dropFirst(fileStart.count).filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        var bytes: [UInt8] = []
        var rest = digits.utf8[...]
        while let high = rest.popFirst(), let low = rest.popFirst() {
            guard let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) else { break }
            bytes.append(value)
        }
        guard text.starts(with: fileStart), digits.utf8.count == 64, bytes.count == 32 else {
            throw .sealed(reason: "\(path) is not a key file: expected `espalier-key-1` and 64 hexadecimal digits")
        }
        return SymmetricKey(data: bytes)
    }
}
