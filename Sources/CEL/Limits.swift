/// What this module refuses to go beyond. Expressions and what they are about come from outside.
package enum CELLimits {
    /// Bytes of one expression.
    package static let expressionBytes = 100_000
    /// How deep an expression may nest.
    package static let expressionDepth = 250
    /// Compiled programs kept for the next time.
    package static let cachedPrograms = 4096
    /// Problems that are said of one expression.
    package static let issues = 100
    /// Bytes of a line of an expression that is still shown with a problem in it.
    package static let snippetBytes = 16_384
}
