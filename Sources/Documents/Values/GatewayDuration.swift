/// Durations as the Gateway API writes them (GEP-2257): one to four numbers of at most five digits, each with a unit
/// of `h`, `m`, `s` or `ms`. No fractions, no signs. Used in every `spec` of ours too.
package enum GatewayDuration {
    /// `1h30m` is ninety minutes; `nil` where the text has another form.
    package static func parse(_ text: String) -> Duration? {
        var scanner = TextScanner(text)
        var total: Duration = .zero
        var parts = 0
        while !scanner.isAtEnd {
            let digits = scanner.take { $0.isDigit }
            parts += 1
            guard let number = Int64(digits), digits.utf8.count <= 5, parts <= 4 else { return nil }
            if scanner.take("ms") {
                total += .milliseconds(number)
            } else if scanner.take("h") {
                total += .seconds(number * 3600)
            } else if scanner.take("m") {
                total += .seconds(number * 60)
            } else if scanner.take("s") {
                total += .seconds(number)
            } else {
                return nil
            }
        }
        return parts == 0 ? nil : total
    }

    /// The shortest text for `duration`, largest unit first; parts below a millisecond are dropped.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if seconds < 0 || attoseconds < 0 { return "0s" }
        let milliseconds = attoseconds / 1_000_000_000_000_000
        var text = ""
        var hours = seconds / 3600
        if hours > 99_999 { hours = 99_999 }
        if hours > 0 { text += "\(hours)h" }
        if seconds / 60 % 60 > 0 { text += "\(seconds / 60 % 60)m" }
        if seconds % 60 > 0 { text += "\(seconds % 60)s" }
        if milliseconds > 0 { text += "\(milliseconds)ms" }
        return text.isEmpty ? "0s" : text
    }
}
