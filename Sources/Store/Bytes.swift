/// Bytes that never change and are shared, not copied: a stored document travels from commit to socket in one of these.
package struct Bytes: Sendable, Hashable {
    package let array: [UInt8]

    package init(_ array: [UInt8]) { self.array = array }

    package var count: Int { array.count }

    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try array.withUnsafeBytes(body)
    }
}
