import Documents

/// The ladder of a rollout: the same in a Landscape (`spec.rollout`) and in a Rollout (`spec`).
enum LadderRules {
    /// `rollout` is the object that holds strategy, steps and analysis; `place` is its path.
    static func check(_ context: inout RuleContext, _ rollout: JSON, at place: String) {
        let steps = rollout["steps"]?.arrayValue ?? []
        let analysis = rollout["analysis"]?.arrayValue ?? []
        let strategy = rollout["strategy"]?.stringValue
        var highest: (weight: Int64, index: Int)?
        for (index, step) in steps.enumerated() {
            let field = "\(place).steps[\(index)]"
            checkMembers(&context, step, at: field)
            if let weight = step["setWeight"]?.integerValue {
                if let last = highest, weight < last.weight {
                    let detail = "must not fall below the \(last.weight) of \(place).steps[\(last.index)]"
                    context.report(.invalid("\(field).setWeight", .integer(weight), detail))
                } else {
                    highest = (weight, index)
                }
                if strategy == "BlueGreen" || strategy == "Recreate" {
                    let detail = "\(strategy ?? "") moves all traffic at once; weights need strategy Canary"
                    context.report(.forbidden("\(field).setWeight", detail))
                }
            }
            let longest = Duration.seconds(90 * 24 * 3600)
            context.requireDuration(step["pause"]?["duration"], "\(field).pause.duration", in: .seconds(1)...longest)
            context.requireDuration(
                step["analysis"]?["duration"], "\(field).analysis.duration", in: .seconds(1)...longest)
            if step["analysis"] != nil, analysis.isEmpty {
                context.report(
                    .invalid("\(field).analysis", step["analysis"] ?? .null, "needs a figure in \(place).analysis"))
            }
        }
        if strategy == "Recreate", !steps.isEmpty {
            context.report(.forbidden("\(place).steps", "Recreate stops the old version first and has no steps"))
        }
        for (index, figure) in analysis.enumerated() {
            check(&context, figure: figure, at: "\(place).analysis[\(index)]")
        }
        let day = Duration.seconds(24 * 3600)
        context.requireDuration(rollout["progressDeadline"], "\(place).progressDeadline", in: .seconds(1)...day)
        context.requireDuration(rollout["keepPrevious"], "\(place).keepPrevious", in: .zero...day * 30)
    }

    private static func checkMembers(_ context: inout RuleContext, _ step: JSON, at field: String) {
        let members = ["setWeight", "pause", "analysis"]
        let found = members.filter { step[$0] != nil }
        if found.count == 1 { return }
        let text = found.isEmpty ? "has none" : "has \(found.joined(separator: " and "))"
        context.report(.invalid(field, step, "must have exactly one of setWeight, pause, analysis; it \(text)"))
    }

    private static func check(_ context: inout RuleContext, figure: JSON, at field: String) {
        if let text = figure["errorRate"]?["maxPercent"]?.stringValue {
            if let percent = Double(text), (0...100).contains(percent) {
            } else {
                context.report(.invalid("\(field).errorRate.maxPercent", .string(text), "must be between 0 and 100"))
            }
        }
        if let latency = figure["latency"] {
            context.requireDuration(
                latency["max"], "\(field).latency.max", in: .milliseconds(1)...Duration.seconds(3600))
            if let text = latency["quantile"]?.stringValue, !(Double(text).map { $0 > 0 && $0 < 1 } ?? false) {
                context.report(.invalid("\(field).latency.quantile", .string(text), "must be above 0 and below 1"))
            }
        }
    }
}
