import Documents

/// A Rollout: its ladder, and what it may not change.
enum RolloutRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        LadderRules.check(&context, spec, at: "spec")
        context.requireImmutable("spec.landscape", ["spec", "landscape", "name"])
        context.requireImmutable("spec.to", ["spec", "to"])
        context.requireImmutable("spec.from", ["spec", "from"])
        if let from = spec["from"]?.stringValue, let to = spec["to"]?.stringValue, from.isSameBytes(as: to) {
            context.report(.invalid("spec.to", .string(to), "must be another revision than spec.from"))
        }
        if let step = spec["decisionStep"]?.integerValue {
            let count = spec["steps"]?.arrayValue?.count ?? 0
            if step > count {
                context.report(.invalid("spec.decisionStep", .integer(step), "there are \(count) steps"))
            }
        }
    }
}

/// A Workspace.
enum WorkspaceRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        let year = Duration.seconds(365 * 24 * 3600)
        context.requireDuration(spec["idleAfter"], "spec.idleAfter", in: .seconds(60)...year)
        for (index, key) in (spec["sshKeys"]?.arrayValue ?? []).enumerated() {
            guard let text = key.stringValue else { continue }
            let parts = text.split(separator: " ", maxSplits: 2).map(String.init)
            let types = ["ssh-", "ecdsa-", "sk-"]
            let isKey = parts.count >= 2 && types.contains { parts[0].hasPrefix($0) } && Formats.isBase64(parts[1])
            if isKey, !text.utf8.contains(where: { $0 < 32 }) { continue }
            context.report(
                .invalid("spec.sshKeys[\(index)]", key, "must be a public key such as \"ssh-ed25519 AAAA… name\""))
        }
    }
}

/// A ManagedService.
enum ManagedServiceRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        let year = Duration.seconds(365 * 24 * 3600)
        context.requireImmutable("spec.engine", ["spec", "engine"])
        context.requireImmutable("spec.bootstrap", ["spec", "bootstrap"])
        context.requireDuration(spec["idleAfter"], "spec.idleAfter", in: .seconds(60)...year)
        context.requireDuration(spec["backup"]?["every"], "spec.backup.every", in: .seconds(300)...year)
        if let old = context.old?.spec["storage"], let new = spec["storage"], old != new,
            let before = Amount.parse(old), let after = Amount.parse(new), after < before
        {
            context.report(.invalid("spec.storage", new, "may grow, never shrink; it was \(FieldError.text(old))"))
        }
    }
}

/// A PreviewDeployment.
enum PreviewDeploymentRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        context.requireDuration(spec["ttl"], "spec.ttl", in: .seconds(60)...Duration.seconds(365 * 24 * 3600))
        context.requireImmutable("spec.pullRequest", ["spec", "pullRequest"])
        context.requireImmutable("spec.repository", ["spec", "repository", "name"])
        if let host = spec["host"], host.stringValue?.hasPrefix("*.") == true {
            context.report(.invalid("spec.host", host, "must be one host, without *"))
        }
    }
}

/// A Plan.
enum PlanRules {
    static func check(_ context: inout RuleContext) {
        for name in ["cpu", "memory", "storage"] {
            guard let value = context.document.spec[name], let amount = Amount.parse(value), amount <= 0 else {
                continue
            }
            context.report(.invalid("spec.\(name)", value, "must be above zero"))
        }
    }
}

/// A quantity as a number, good enough to compare two of them.
enum Amount {
    static func parse(_ json: JSON) -> Double? {
        if let number = json.doubleValue { return number }
        guard let text = json.stringValue else { return nil }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits) else { return nil }
        let factors: [String: Double] = [
            "": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Ki": 1024,
            "Mi": 1_048_576,
            "Gi": 1_073_741_824, "Ti": 1_099_511_627_776, "Pi": 1.125899906842624e15, "Ei": 1.152921504606846976e18,
        ]
        return factors[String(text.dropFirst(digits.count))].map { number * $0 }
    }
}
