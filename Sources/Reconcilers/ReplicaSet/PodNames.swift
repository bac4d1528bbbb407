internal import ControlLoop

/// Names for pods that are one like the other: `<base>-<five letters>`. The letters follow from the UID of who makes the
/// pods and a place, so that a crash between two of them makes none twice. A pure value.
struct PodNames {
    private let uid: String
    private var taken: Set<String>
    private var place = 0

    init(uid: String, taken: [String]) {
        self.uid = uid
        self.taken = Set(taken)
    }

    /// The name at the next place where it is free.
    mutating func next(_ base: String) -> String {
        while true {
            let name = "\(base)-\(letters(place))"
            place += 1
            if taken.insert(name).inserted { return name }
        }
    }

    private func letters(_ place: Int) -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        var hash = StableHash.of(Array("\(uid) \(place)".utf8))
        var suffix = ""
        for _ in 0..<5 {
            suffix.append(alphabet[Int(hash % UInt64(alphabet.count))])
            hash /= UInt64(alphabet.count)
        }
        return suffix
    }
}
