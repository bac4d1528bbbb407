package import Seams

/// Why the log cannot be read or written.
package enum JournalError: Error, Sendable, CustomStringConvertible {
    case fileSystem(FileError)
    /// Bytes that were durable are not what they were. Nothing was changed.
    case damaged(file: String, offset: Int, reason: String)

    package var description: String {
        switch self {
        case .fileSystem(let error): error.description
        case .damaged(let file, let offset, let reason): "\(file) is damaged at byte \(offset): \(reason)"
        }
    }
}

/// Runs a file operation with the journal's error type.
func files<Result>(_ body: () throws(FileError) -> Result) throws(JournalError) -> Result {
    do { return try body() } catch { throw .fileSystem(error) }
}
