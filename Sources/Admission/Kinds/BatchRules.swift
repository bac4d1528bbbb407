import Documents

/// The rules of Job and CronJob that a schema cannot say, in upstream's words.
enum BatchRules {
    private static let mostIndexes: Int64 = 100_000

    static func job(_ context: inout RuleContext) {
        spec(&context, context.document.spec, at: "spec")
        guard let old = context.old else { return }
        for member in ["template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "selector"]
        where context.hasChanged("spec", member) {
            context.report(.immutable("spec.\(member)", context.document.spec[member] ?? .null))
        }
        guard context.hasChanged("spec", "completions") else { return }
        // An indexed Job grows and shrinks as long as all its indexes may run at once.
        let (new, before) = (context.document.spec, old.spec)
        let isElastic =
            new["completionMode"]?.stringValue == "Indexed" && new["completions"] == new["parallelism"]
            && before["completions"] != nil && new["completions"] != nil
        if !isElastic { context.report(.immutable("spec.completions", new["completions"] ?? .null)) }
    }

    static func cronJob(_ context: inout RuleContext) {
        let spec = context.document.spec
        if context.document.name.utf8.count > 52 {
            context.report(
                .invalid("metadata.name", .string(context.document.name), "must be no more than 52 characters"))
        }
        schedule(&context, spec)
        requireNatural(&context, spec, ["startingDeadlineSeconds", "successfulJobsHistoryLimit"], at: "spec")
        requireNatural(&context, spec, ["failedJobsHistoryLimit"], at: "spec")
        let policies: [JSON] = ["Allow", "Forbid", "Replace"]
        if let policy = spec["concurrencyPolicy"], !policies.contains(policy) {
            context.report(.notSupported("spec.concurrencyPolicy", policy, policies))
        }
        Self.spec(&context, spec["jobTemplate"]?["spec"] ?? .null, at: "spec.jobTemplate.spec")
    }

    private static func schedule(_ context: inout RuleContext, _ spec: JSON) {
        let text = spec["schedule"]?.stringValue ?? ""
        let zone = spec["timeZone"]?.stringValue
        if text.isEmpty { return context.report(.required("spec.schedule")) }
        if text.contains("TZ") {
            let detail =
                zone == nil
                ? "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                : "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            context.report(.invalid("spec.schedule", .string(text), detail))
        } else {
            do {
                _ = try CronSchedule(text)
            } catch {
                context.report(.invalid("spec.schedule", .string(text), error.message))
            }
        }
        guard let zone else { return }
        if zone.isEmpty {
            context.report(.invalid("spec.timeZone", .string(zone), "timeZone must be nil or non-empty string"))
        } else if zone.lowercased() == "local" {
            context.report(
                .invalid(
                    "spec.timeZone", .string(zone),
                    "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
        }
    }

    private static func spec(_ context: inout RuleContext, _ spec: JSON, at place: String) {
        let template = spec["template"] ?? .null
        BuiltInRules.check(&context, podSpec: template["spec"] ?? .null, at: "\(place).template.spec")
        let policy = template["spec"]?["restartPolicy"]?.stringValue ?? ""
        let field = "\(place).template.spec.restartPolicy"
        if policy != "Never", policy != "OnFailure" {
            context.report(.required(field, "valid values: \"OnFailure\", \"Never\""))
        } else if policy != "Never", spec["podFailurePolicy"] != nil {
            context.report(
                .invalid(field, .string(policy), "only \"Never\" is supported when podFailurePolicy is specified"))
        }
        requireNatural(
            &context, spec,
            [
                "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                "backoffLimitPerIndex", "maxFailedIndexes",
            ], at: place)
        let modes: [JSON] = ["Indexed", "NonIndexed"]
        if let mode = spec["completionMode"], !modes.contains(mode) {
            return context.report(.notSupported("\(place).completionMode", mode, modes))
        }
        guard spec["completionMode"] == "Indexed" else {
            if spec["backoffLimitPerIndex"] != nil {
                context.report(
                    .invalid(
                        "\(place).backoffLimitPerIndex", spec["backoffLimitPerIndex"] ?? .null,
                        "requires indexed completion mode"))
            }
            return
        }
        if spec["completions"] == nil {
            context.report(.required("\(place).completions", "when completion mode is Indexed"))
        }
        if let parallelism = spec["parallelism"]?.integerValue, parallelism > mostIndexes {
            context.report(
                .invalid(
                    "\(place).parallelism", .integer(parallelism),
                    "must be less than or equal to \(mostIndexes) when completion mode is Indexed"))
        }
    }

    private static func requireNatural(
        _ context: inout RuleContext, _ spec: JSON, _ members: [String], at place: String
    ) {
        for member in members {
            guard let number = spec[member]?.integerValue, number < 0 else { continue }
            context.report(
                .invalid("\(place).\(member)", .integer(number), "must be greater than or equal to 0"))
        }
    }
}
