internal import Documents

/// A number of pods that is written as such or as a part of a hundred.
enum Share {
    /// `value` of `total`; `unset` stands for it where there is none. What is neither a number nor a percentage is 0.
    static func resolve(_ value: JSON?, of total: Int, roundsUp: Bool, unset: String) -> Int {
        if let number = value?.integerValue { return max(0, min(Int(clamping: number), ReconcilerLimits.replicas)) }
        let text = value?.stringValue ?? unset
        if let number = Int(text) { return max(0, min(number, ReconcilerLimits.replicas)) }
        guard text.hasSuffix("%"), let percent = Int(text.dropLast()), (0...1000).contains(percent) else { return 0 }
        return (total * percent + (roundsUp ? 99 : 0)) / 100
    }
}
