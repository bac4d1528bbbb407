/// What this module refuses to go beyond. Everything that comes from outside has a limit.
package enum DocumentLimits {
    /// Bytes of one document, as JSON or YAML. Kubernetes refuses request bodies above 3 MiB.
    package static let documentBytes = 3 * 1024 * 1024
    /// Bytes of a YAML file, which may hold many documents.
    package static let streamBytes = 32 * 1024 * 1024
    /// How deep arrays and objects may nest.
    package static let nestingDepth = 128
    /// Names that stand twice in a JSON document, as far as they are reported.
    package static let reportedDuplicates = 100
    /// Bytes of the message of a Status, and of each text in its details.
    package static let statusTextBytes = 32 * 1024
    package static let causeTextBytes = 4 * 1024
    /// Bytes of a label or field selector.
    package static let selectorBytes = 64 * 1024
    /// Bytes of a JSONPath.
    package static let jsonPathBytes = 4096
    /// Operations of one JSON patch, as in Kubernetes.
    package static let patchOperations = 10_000
    /// Values that the operations of one JSON patch may copy, move or shift in all. A copy of a copy of a copy grows
    /// like a power of two; this is where it ends.
    package static let patchWork = 4_000_000
    /// How deep a group of a pattern may nest.
    package static let patternDepth = 64
    /// Instructions a pattern may compile to.
    package static let patternInstructions = 8 * 1024
    /// Compiled patterns kept for the next time.
    package static let cachedPatterns = 4096
    /// Leaf schemas that are kept to be shared.
    package static let sharedSchemas = 4096
}
