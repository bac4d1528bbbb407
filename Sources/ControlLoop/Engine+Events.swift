internal import Client
internal import Documents
internal import Logging
internal import Seams

extension Engine {
    /// Writes an event about the primary. Its name follows from what it says, so that a repetition after a crash finds it
    /// there. An event that cannot be written is no reason to stop.
    mutating func write(_ event: EventDraft, about primary: Document, _ item: Item, now: Instant) async {
        let identity = [primary.uid, event.reason, event.occurrence].joined(separator: "\u{0}")
        let name = "\(primary.name.prefix(200)).\(StableHash.text(StableHash.of(Array(identity.utf8))))"
        let namespace = primary.namespace.isEmpty ? "default" : primary.namespace
        let component = reconcilers[item.loop].owner.name
        var about: JSONObject = [
            "apiVersion": .string(primary.apiVersion), "kind": .string(primary.kind), "name": .string(primary.name),
            "uid": .string(primary.uid),
        ]
        if !primary.namespace.isEmpty { about["namespace"] = .string(primary.namespace) }
        let document = Document([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "involvedObject": .object(about), "type": event.isWarning ? "Warning" : "Normal",
            "reason": .string(event.reason), "message": .string(cut(event.message)), "count": 1,
            "firstTimestamp": .string(now.rfc3339), "lastTimestamp": .string(now.rfc3339),
            "source": ["component": .string(component)], "reportingComponent": .string(component),
            "reportingInstance": "",
        ])
        do {
            statistics.events += 1
            _ = try await client.create(document, options: WriteOptions(fieldManager: component))
        } catch {
            if error.reason == .alreadyExists { return }
            var details = metadata(item)
            details["event"] = "\(event.reason)"
            details["error"] = "\(error)"
            logger.debug("event not written", metadata: details)
        }
    }

    private func cut(_ message: String) -> String {
        if message.utf8.count <= ControlLoopLimits.eventMessageBytes { return message }
        var text = message.prefix(ControlLoopLimits.eventMessageBytes - 4)
        while text.utf8.count > ControlLoopLimits.eventMessageBytes - 4 { text.removeLast() }
        return text + "…"
    }
}
