internal import Crypto
internal import Documents
package import Seams

/// Keys as text, a line each, in files of a folder or printed by a command:
///
///     espalier-key-2 <number> <time it was made, or -> <64 hexadecimal digits>
///     espalier-key-1 <64 hexadecimal digits>               older: the file's name is the number; printed, it is 1
extension SealingKeys {
    private static let maximumBytes = 64 * 1024

    // MARK: A folder

    /// The keys in `directory`, one file each, readable by the owner alone. Without a key the first is made, unless the
    /// store has content already: then its keys are lost or elsewhere, and a new one would only hide that.
    package static func load(
        directory: String, fileSystem: any FileSystem, now: Instant? = nil, makesFirst: Bool = true
    ) throws(StoreError) -> SealingKeys {
        if !makesFirst { return try keys(in: directory, fileSystem) }
        return try locked(directory, fileSystem) { () throws(StoreError) in
            let found = try keys(in: directory, fileSystem)
            if !found.isEmpty { return found }
            return try makeNext(after: found, directory, fileSystem, now)
        }
    }

    /// Makes the key after the newest and returns all of them. It is durable before anything can be sealed with it.
    package static func rotate(
        directory: String, fileSystem: any FileSystem, now: Instant? = nil
    ) throws(StoreError) -> SealingKeys {
        try locked(directory, fileSystem) { () throws(StoreError) in
            try makeNext(after: try keys(in: directory, fileSystem), directory, fileSystem, now)
        }
    }

    /// Runs `body` alone: two first starts at once must not make two keys, of which one would be lost.
    private static func locked(
        _ directory: String, _ fileSystem: any FileSystem, _ body: () throws(StoreError) -> SealingKeys
    ) throws(StoreError) -> SealingKeys {
        let lock: any FileLock
        do {
            try fileSystem.createDirectory(directory, permissions: 0o700)
            lock = try fileSystem.lock("\(directory)/lock")
        } catch {
            if error.code == .locked { throw .locked(path: directory) }
            throw .fileSystem(reason: error.description)
        }
        defer { lock.release() }
        return try body()
    }

    private static func keys(in directory: String, _ fileSystem: any FileSystem) throws(StoreError) -> SealingKeys {
        var keys: [Key] = []
        do {
            guard try fileSystem.exists(directory) else { return SealingKeys() }
            for name in try fileSystem.list(directory) where name.hasSuffix(".key") {
                guard let number = UInt16(name.dropLast(4)), number > 0 else { continue }
                let path = "\(directory)/\(name)"
                let text = try fileSystem.readFile(path)
                guard let key = parse(text[...], unnamed: number), key.number == number else {
                    throw StoreError.sealed(
                        reason: "\(path) is not the file of key \(number): expected `espalier-key-2 \(number)`, a time "
                            + "and 64 hexadecimal digits; put it back from a backup of the keys")
                }
                keys.append(key)
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
        return SealingKeys(keys)
    }

    private static func makeNext(
        after known: SealingKeys, _ directory: String, _ fileSystem: any FileSystem, _ now: Instant?
    ) throws(StoreError) -> SealingKeys {
        guard known.newest < .max else { throw .sealed(reason: "\(directory): there are no more numbers for keys") }
        let key = Key(number: known.newest + 1, created: now, secret: SymmetricKey(size: .bits256))
        do {
            let path = "\(directory)/\(key.number).key"
            try fileSystem.replaceFile(path, with: text(of: key), permissions: 0o600)
            try fileSystem.syncDirectory(FilePath.parent(of: directory))
        } catch {
            throw .fileSystem(reason: error.description)
        }
        return try known.merging(SealingKeys([key]))
    }

    // MARK: A command

    /// The keys in what a command printed. Lines that are no keys are passed over, so that a warning harms nothing.
    package static func parse(printed text: [UInt8]) throws(StoreError) -> SealingKeys {
        if text.count > maximumBytes {
            throw .sealed(reason: "the key command printed more than \(maximumBytes) bytes")
        }
        var keys = SealingKeys()
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: Array("espalier-key-".utf8)) {
            guard let key = parse(line, unnamed: 1) else {
                throw .sealed(
                    reason: "the key command printed a line that begins as a key and is none: expected "
                        + "`espalier-key-2`, a number, a time or -, and 64 hexadecimal digits")
            }
            keys = try keys.merging(SealingKeys([key]))
        }
        if keys.isEmpty { throw .sealed(reason: "the key command printed no line that begins with `espalier-key-2`") }
        return keys
    }

    // MARK: Text

    private static func text(of key: Key) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        let secret = key.secret.withUnsafeBytes { $0.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } }
        let created = key.created.map(\.rfc3339) ?? "-"
        return Array("espalier-key-2 \(key.number) \(created) ".utf8) + secret + [UInt8(ascii: "\n")]
    }

    /// Reads one line. `unnamed` is the number of a key of the older form, which does not hold it.
    private static func parse(_ text: ArraySlice<UInt8>, unnamed: UInt16) -> Key? {
        let line = text.last == UInt8(ascii: "\n") ? text.dropLast() : text
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        let word = words.map { String(decoding: $0, as: UTF8.self) }
        guard let last = words.last, let secret = secret(last) else { return nil }
        if word.count == 2, word[0] == "espalier-key-1" { return Key(number: unnamed, created: nil, secret: secret) }
        guard word.count == 4, word[0] == "espalier-key-2", let number = UInt16(word[1]), number > 0 else { return nil }
        let created = Instant(rfc3339: word[2])
        if created == nil, word[2] != "-" { return nil }
        return Key(number: number, created: created, secret: secret)
    }

    private static func secret(_ digits: ArraySlice<UInt8>) -> SymmetricKey? {
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for byte in digits {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): bytes.append(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): bytes.append(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return SymmetricKey(data: stride(from: 0, to: 64, by: 2).map { bytes[$0] << 4 | bytes[$0 + 1] })
    }
}
