internal import ControlLoop
package import Documents
internal import Seams

/// A CronJob as its loop reads it, with the defaults of batch/v1.
package struct CronJobView: DocumentView {
    package enum ConcurrencyPolicy: String, Sendable {
        case allow = "Allow"
        case forbid = "Forbid"
        case replace = "Replace"
    }

    package let document: Document
    package init(_ document: Document) { self.document = document }

    package static let scheduledTimestamp = "batch.kubernetes.io/cronjob-scheduled-timestamp"

    private var spec: JSON { document.spec }
    package var schedule: String { spec.text("schedule") }
    package var timeZone: String? { spec["timeZone"]?.stringValue }
    package var isSuspended: Bool { spec["suspend"]?.boolValue ?? false }
    package var policy: ConcurrencyPolicy { ConcurrencyPolicy(rawValue: spec.text("concurrencyPolicy")) ?? .allow }
    package var startingDeadline: Duration? { spec.integer("startingDeadlineSeconds").map { .seconds($0) } }
    package var successfulKept: Int { max(0, spec.integer("successfulJobsHistoryLimit") ?? 3) }
    package var failedKept: Int { max(0, spec.integer("failedJobsHistoryLimit") ?? 1) }
    var lastSchedule: Instant? { document.status["lastScheduleTime"]?.stringValue.flatMap(Instant.init(rfc3339:)) }
    var created: Instant? { Instant(rfc3339: document.creationTimestamp) }
    /// The jobs the status calls active, by UID, with their names.
    package var active: [(uid: String, name: String)] {
        document.status.elements("active").map { ($0.text("uid"), $0.text("name")) }
    }

    /// The Job of a scheduled time: its name is a lock, as the time is in it.
    func job(at time: Instant, in zone: TimeZone) -> Document {
        let template = spec["jobTemplate"] ?? [:]
        let name = "\(document.name)-\(time.seconds / 60)"
        var job = Kinds.job.document(namespace: document.namespace, name: name)
        job.metadata["labels"] = template["metadata"]?["labels"]
        var annotations = template["metadata"]?["annotations"] ?? [:]
        annotations[Self.scheduledTimestamp] = .string(Self.text(time, in: zone))
        job.metadata["annotations"] = annotations
        job["spec"] = template["spec"]
        return job
    }

    /// RFC 3339 with the zone's offset.
    static func text(_ time: Instant, in zone: TimeZone) -> String {
        let offset = zone.offset(at: time.seconds)
        if offset == 0 { return time.rfc3339 }
        func digits(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = abs(offset) / 60
        let sign = offset < 0 ? "-" : "+"
        let local = Instant(seconds: time.seconds + offset).rfc3339.dropLast()
        return "\(local)\(sign)\(digits(minutes / 60)):\(digits(minutes % 60))"
    }
}
