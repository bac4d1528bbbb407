/// What this module refuses to go beyond. Everything that comes from outside has a limit.
package enum AdmissionLimits {
    /// Errors reported for one document; beyond these the document is bad enough.
    package static let errors = 100
    /// Unknown fields that are reported; all of them go.
    package static let unknownFields = 100
    /// What one run of a rule may cost, in the units of Kubernetes. As there.
    package static let ruleCallCost: UInt64 = 1_000_000
    /// What all rules of one document may cost together. As in Kubernetes.
    package static let ruleCost: UInt64 = 10_000_000
    /// Steps all rules of one document may take together: more than the costs above come to in anything but what goes
    /// deep into values.
    package static let ruleSteps = 50_000_000
    /// What a rule may be estimated to cost when its definition is stored, and what all rules of a version may. As in
    /// Kubernetes.
    package static let estimatedRuleCost: UInt64 = 10_000_000
    package static let estimatedDefinitionCost: UInt64 = 100_000_000
    /// Schemas with rules whose declarations are kept for the next document.
    package static let cachedDeclarations = 4096
    /// Bytes of a message that a rule has worked out.
    package static let ruleMessageBytes = 5 * 1024
    /// The longest document that comes in one request, from which the size of what is not limited is estimated. As in
    /// Kubernetes.
    package static let estimatedRequestBytes: Int64 = 3 * 1024 * 1024
    /// Bytes of all names and values of `metadata.annotations` together.
    package static let annotationBytes = 256 * 1024
    /// Bytes of the values of a ConfigMap or a Secret together.
    package static let configurationBytes = 1024 * 1024
    /// Fields of one version of a CustomResourceDefinition that selectors may name.
    package static let selectableFields = 8
}
