internal import Synchronization

/// An expression that was read and can be evaluated. Immutable.
package struct CELProgram: Sendable {
    let expression: CELExpression

    private static let known = Mutex<[String: Result<CELExpression, CELError>]>([:])

    /// The program of `text`, kept for the next time. Throws where the text is no expression.
    package static func compiled(_ text: String) throws(CELError) -> CELProgram {
        if let result = known.withLock({ $0[text] }) { return CELProgram(expression: try result.get()) }
        let result = Result { () throws(CELError) in try CELParser.parse(text) }
        known.withLock { known in
            if known.count >= CELLimits.cachedPrograms { known.removeAll() }
            known[text] = result
        }
        return CELProgram(expression: try result.get())
    }

    /// Whether the variable `name` is used anywhere in it.
    package func mentions(_ name: String) -> Bool { expression.mentions(name) }
}
