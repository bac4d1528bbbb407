/// A `Warning` header as API servers send it: `299 - "text"`.
enum WarningHeader {
    /// The text; `nil` where the header is something else.
    static func text(_ header: String) -> String? {
        guard header.hasPrefix("299 "), let start = header.firstIndex(of: "\"") else { return nil }
        var text = ""
        var isEscaped = false
        for character in header[header.index(after: start)...] {
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
                continue
            } else if character == "\"" {
                return text
            }
            text.append(character)
        }
        return nil
    }
}
