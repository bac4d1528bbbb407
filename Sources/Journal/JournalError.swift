package import Seams

/// Why the log cannot be read or written.
package enum JournalError: Error, Sendable, CustomStringConvertible {
    case fileSystem(FileError)
    /// A file was written by a newer version. Nothing was changed.
    case newer(file: String, version: UInt32, supported: UInt32)
    /// The device has no room for what was to be written. Nothing of it was written, and it may be tried again.
    case noSpace(FileError)
    /// Bytes that were durable are not what they were. Nothing was changed.
    case damaged(file: String, offset: Int, reason: String)

    package var description: String {
        switch self {
        case .fileSystem(let error), .noSpace(let error): error.description
        case .newer(let file, let version, let supported): "\(file) has format \(version), newer than \(supported)"
        case .damaged(let file, let offset, let reason): "\(file) is damaged at byte \(offset): \(reason)"
        }
    }
}

/// Runs a file operation with the journal's error type.
func files<Result>(_ body: () throws(FileError) -> Result) throws(JournalError) -> Result {
    do { return try body() } catch { throw .fileSystem(error) }
}
