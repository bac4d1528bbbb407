internal import ArgumentParser
internal import Client
internal import Documents
internal import Seams

/// Tells everything about a document: what it should be, how it is, what happened.
struct DescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Tells everything about documents.")

    @Argument(help: "TYPE [NAME ...] or TYPE/NAME ...") var what: [String]
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        var texts: [String] = []
        for selection in try await Selection.parse(what, session) {
            let information = selection.resource.information
            let namespace = session.namespace(for: information)
            var documents: [Document] = []
            if selection.names.isEmpty {
                documents = try await session.client.list(
                    information.resource, namespace: namespace, options: ListOptions()
                ).items
            }
            for name in selection.names {
                documents.append(
                    try await session.client.get(ObjectKey(information.resource, namespace: namespace, name: name)))
            }
            for document in documents {
                let events = try await Events.about(document, session.client)
                texts.append(
                    Description(document: document, events: events, now: SystemClock().now()).lines.joined(
                        separator: "\n"))
            }
        }
        if texts.isEmpty { Terminal.complain("No resources found.") }
        Terminal.print(texts.joined(separator: "\n\n\n"))
    }
}

/// The text `describe` prints for one document.
struct Description {
    let document: Document
    let events: [Document]
    let now: Instant

    var lines: [String] {
        var lines = heading
        var content = document.json.objectValue ?? JSONObject()
        let conditions = document.status["conditions"]?.arrayValue ?? []
        for field in ["apiVersion", "kind", "metadata"] { content[field] = nil }
        if document.kind == "Secret", let data = content["data"]?.objectValue {
            content["data"] = .object(
                JSONObject(
                    data.members.map {
                        ($0.key, .string("\(Base64.decode($0.value.stringValue ?? "")?.count ?? 0) bytes"))
                    }))
        }
        content.update("status") { $0["conditions"] = nil }
        if content["status"]?.objectValue?.isEmpty == true { content["status"] = nil }
        for member in content.members {
            let name = member.key.prefix(1).uppercased() + member.key.dropFirst()
            let text = YAMLWriter.text(member.value)
            if member.value.objectValue == nil && member.value.arrayValue == nil {
                lines.append("\(name): \(text.split(separator: "\n").first ?? "")")
            } else {
                lines.append("\(name):")
                lines += text.split(separator: "\n").map { "  \($0)" }
            }
        }
        if !conditions.isEmpty { lines += ["Conditions:"] + Self.indented(table(conditions)) }
        lines += events.isEmpty ? ["Events:  <none>"] : ["Events:"] + Self.indented(Events.table(events, now: now))
        return lines
    }

    private var heading: [String] {
        var pairs = [("Name:", document.name)]
        if !document.namespace.isEmpty { pairs.append(("Namespace:", document.namespace)) }
        pairs += Self.listed("Labels:", document.labels)
        pairs += Self.listed("Annotations:", document.annotations)
        pairs += [("API Version:", document.apiVersion), ("Kind:", document.kind)]
        if let controller = document.controller {
            pairs.append(("Controlled By:", "\(controller.kind)/\(controller.name)"))
        }
        pairs.append(("Created:", "\(document.creationTimestamp) (\(Self.age(document.creationTimestamp, now)) ago)"))
        if let time = document.deletionTimestamp { pairs.append(("Deleting since:", time)) }
        return pairs.map { $0.0.padded(to: 16) + $0.1 }
    }

    private static func listed(_ title: String, _ values: [String: String]) -> [(String, String)] {
        let shown = values.filter { $0.key != "kubectl.kubernetes.io/last-applied-configuration" }
        let texts = shown.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return texts.isEmpty
            ? [(title, "<none>")] : texts.enumerated().map { ($0.offset == 0 ? title : "", $0.element) }
    }

    private func table(_ conditions: [JSON]) -> TextTable {
        TextTable(
            header: ["TYPE", "STATUS", "AGE", "REASON", "MESSAGE"],
            rows: conditions.map { condition in
                func text(_ key: String) -> String { condition[key]?.stringValue ?? "" }
                return [
                    text("type"), text("status"), Self.age(text("lastTransitionTime"), now), text("reason"),
                    text("message"),
                ]
            })
    }

    private static func indented(_ table: TextTable) -> [String] { table.lines().map { "  \($0)" } }

    /// How long ago an RFC 3339 time was; `<unknown>` where there is none.
    static func age(_ time: String, _ now: Instant) -> String {
        Instant(rfc3339: time).map { HumanDuration.text(now - $0) } ?? "<unknown>"
    }
}

extension String {
    /// The text with spaces after it, up to `width` characters.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// What happened to a document, as the core Events that speak of it.
enum Events {
    static let resource = GroupResource(group: "", resource: "events")

    static func about(_ document: Document, _ client: HTTPClient) async throws(APIError) -> [Document] {
        var options = ListOptions()
        options.fieldSelector = "involvedObject.name=\(document.name),involvedObject.uid=\(document.uid)"
        let namespace = document.namespace.isEmpty ? "default" : document.namespace
        return sorted(try await client.list(resource, namespace: namespace, options: options).items)
    }

    /// Oldest first, by when they last happened.
    static func sorted(_ events: [Document]) -> [Document] { events.sorted { time($0) < time($1) } }

    static func time(_ event: Document) -> String {
        ["lastTimestamp", "eventTime", "firstTimestamp"].lazy.compactMap { event[$0]?.stringValue }.first {
            !$0.isEmpty
        }
            ?? event.creationTimestamp
    }

    static func table(_ events: [Document], now: Instant) -> TextTable {
        TextTable(
            header: ["TYPE", "REASON", "AGE", "FROM", "MESSAGE"],
            rows: events.map { event in
                func text(_ key: String) -> String { event[key]?.stringValue ?? "" }
                let count = event["count"]?.integerValue ?? 1
                let age = Description.age(time(event), now) + (count > 1 ? " (x\(count))" : "")
                let from =
                    text("reportingComponent").isEmpty
                    ? event["source"]?["component"]?.stringValue ?? "" : text("reportingComponent")
                return [text("type"), text("reason"), age, from, text("message")]
            })
    }
}
