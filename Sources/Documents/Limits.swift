/// What this module refuses to go beyond. Everything that comes from outside has a limit.
package enum DocumentLimits {
    /// Bytes of one document, as JSON or YAML. Kubernetes refuses request bodies above 3 MiB.
    package static let documentBytes = 3 * 1024 * 1024
    /// How deep arrays and objects may nest.
    package static let nestingDepth = 128
}
