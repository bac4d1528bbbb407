/// Why a file is not the YAML we accept, and where: what an editor needs to jump there.
package struct YAMLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// As the caller named it; `-` for standard input.
    package let file: String
    /// Both count from 1; a column is a character.
    package let line: Int
    package let column: Int
    /// What was expected and what was found.
    package let message: String

    package init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String { "\(file):\(line):\(column): \(message)" }
}
