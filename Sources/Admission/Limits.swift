/// What this module refuses to go beyond. Everything that comes from outside has a limit.
package enum AdmissionLimits {
    /// Errors reported for one document; beyond these the document is bad enough.
    package static let errors = 100
    /// Unknown fields that are reported; all of them go.
    package static let unknownFields = 100
    /// Steps all CEL rules of one document may take together.
    package static let ruleSteps = 1_000_000
    /// Bytes of all names and values of `metadata.annotations` together.
    package static let annotationBytes = 256 * 1024
    /// Bytes of the values of a ConfigMap or a Secret together.
    package static let configurationBytes = 1024 * 1024
    /// Fields of one version of a CustomResourceDefinition that selectors may name.
    package static let selectableFields = 8
}
