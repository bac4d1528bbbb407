/// What this module refuses to go beyond. Expressions and what they are about come from outside.
package enum CELLimits {
    /// Bytes of one expression.
    package static let expressionBytes = 8 * 1024
    /// How deep an expression may nest.
    package static let expressionDepth = 64
    /// Compiled programs kept for the next time.
    package static let cachedPrograms = 4096
}
