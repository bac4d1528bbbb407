internal import Glibc

/// Where commands print. Standard output carries what was asked for, standard error everything else.
enum Terminal {
    /// A failure that was already explained on standard error; the process ends with `code`.
    struct Exit: Error {
        let code: Int32
    }

    static func print(_ text: String, terminator: String = "\n") {
        write(text + terminator, to: STDOUT_FILENO)
    }

    static func complain(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

    /// Writes all bytes, or ends the process quietly when nobody reads them any more (`espalier get … | head`).
    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                exit(errno == EPIPE ? 0 : 1)
            }
            rest = rest.dropFirst(written)
        }
    }

    /// Colour goes to a terminal that knows it only, and never where NO_COLOR is set.
    static let isColoured =
        isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
        && getenv("TERM").map { String(cString: $0) != "dumb" } ?? false

    enum Colour: String { case red = "31", green = "32", yellow = "33", grey = "90" }

    static func paint(_ text: String, _ colour: Colour) -> String {
        isColoured ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }
}
