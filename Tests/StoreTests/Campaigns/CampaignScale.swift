import Glibc

/// How large a campaign is: small by default, as large as its script says by the environment.
enum CampaignScale {
    static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    static func number(_ name: String, small: Int) -> Int { text(name).flatMap(Int.init) ?? small }

    /// `SEED=…` replays; otherwise every run has a seed of its own and prints it.
    static func seed(_ campaign: String) -> UInt64 {
        let seed = text("SEED").flatMap(UInt64.init) ?? UInt64.random(in: 1...1_000_000)
        print("\(campaign): SEED=\(seed)")
        return seed
    }
}
