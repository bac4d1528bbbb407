/// The number of one transaction: they follow each other without a gap, and none is ever given twice. An empty store is
/// at revision 1, so that no list has the resource version 0, which Kubernetes reads as "any".
package struct Revision: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads a resource version: decimal digits without a sign, or `nil`.
    package init?(_ text: String) {
        var value: UInt64 = 0
        if text.utf8.isEmpty { return nil }
        for byte in text.utf8 {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            if overflow || carry { return nil }
            value = sum
        }
        self.rawValue = value
    }

    package static let empty = Revision(rawValue: 1)

    package var next: Revision { Revision(rawValue: rawValue + 1) }
    package var description: String { String(rawValue) }

    /// The decimal digits, as they stand in `resourceVersion`.
    package var digits: [UInt8] { Array(String(rawValue).utf8) }

    package static func < (left: Revision, right: Revision) -> Bool { left.rawValue < right.rawValue }
}
