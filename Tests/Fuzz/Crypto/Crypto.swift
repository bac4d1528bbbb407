// Stands for swift-crypto where the decoders of the log are fuzzed, so that no dependency has to be
// built with the fuzzer. What it computes is no cryptography: the checksums and seals are not what is under test, the
// code behind them is, and a cheap checksum lets the fuzzer run faster. Only what Journal and Store call.

/// Thirty-two bytes that depend on all that was hashed.
package struct SHA256 {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    package init() {}

    package static func hash<Data: Sequence<UInt8>>(data: Data) -> Digest {
        var hasher = SHA256()
        hasher.update(data: data)
        return hasher.finalize()
    }

    package mutating func update<Data: Sequence<UInt8>>(data: Data) {
        let bytes = Array(data)
        bytes.withUnsafeBytes { update(bufferPointer: $0) }
    }

    package mutating func update(bufferPointer bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        while offset < bytes.count {
            mix(UInt64(bytes[offset]))
            offset += 1
        }
    }

    private mutating func mix(_ word: UInt64) { state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15 ^ state >> 31 }

    package func finalize() -> Digest {
        var (bytes, mixed) = ([UInt8](), state)
        while bytes.count < 32 {
            mixed = (mixed ^ mixed >> 29) &* 0xBF58_476D_1CE4_E5B9
            withUnsafeBytes(of: mixed.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return Digest(bytes: bytes)
    }

    package struct Digest: Sequence {
        let bytes: [UInt8]
        package func makeIterator() -> IndexingIterator<[UInt8]> { bytes.makeIterator() }
    }
}

package struct SymmetricKey: Sendable, Equatable {
    package enum Size { case bits256 }
    private let bytes: [UInt8]

    package init(size: Size) { bytes = Array(repeating: 7, count: 32) }
    package init(data: [UInt8]) { bytes = data }

    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes(body)
    }
}

package enum CryptoKitError: Error { case incorrectParameterSize, authenticationFailure }

package enum AES {
    /// A sealed value is twelve bytes, the value, and sixteen bytes; one that begins with 0xFF does not open.
    package enum GCM {
        package struct SealedBox {
            package let combined: [UInt8]?
            package init(combined: [UInt8]) throws {
                if combined.count < 28 { throw CryptoKitError.incorrectParameterSize }
                self.combined = combined
            }
        }

        package static func seal(
            _ value: [UInt8], using key: SymmetricKey, authenticating: [UInt8]
        ) throws -> SealedBox {
            try SealedBox(combined: Array(repeating: 0, count: 12) + value + Array(repeating: 0, count: 16))
        }

        package static func open(_ box: SealedBox, using key: SymmetricKey, authenticating: [UInt8]) throws -> [UInt8] {
            guard let combined = box.combined, combined[0] != 0xFF else { throw CryptoKitError.authenticationFailure }
            return Array(combined.dropFirst(12).dropLast(16))
        }
    }
}
