internal import ArgumentParser
internal import Client
internal import Documents

/// Shows what applying files would change, as the server would do it: a dry run, admission and defaults included.
struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Shows what apply would change. Ends with 1 where something would.")

    @Option(
        name: [.customShort("f"), .customLong("filename")],
        help: "File, folder, or - for standard input. Can be repeated.")
    var files: [String]
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        var differs = false
        for manifest in ApplyCommand.ordered(try Manifest.read(files)) {
            do throws(APIError) {
                let text = try await difference(manifest, session)
                if text.isEmpty { continue }
                differs = true
                for line in text {
                    let colour: Terminal.Colour? = line.hasPrefix("+") ? .green : line.hasPrefix("-") ? .red : nil
                    Terminal.print(colour.map { Terminal.paint(line, $0) } ?? line)
                }
            } catch {
                manifest.complain(error)
                throw Terminal.Exit(code: 2)
            }
        }
        if differs { throw Terminal.Exit(code: 1) }
    }

    private func difference(_ manifest: Manifest, _ session: Session) async throws(APIError) -> [String] {
        var document = manifest.document
        let information = try await session.client.resource(for: document.groupVersionKind)
        let namespace = session.namespace(for: information, own: document.namespace)
        if information.isNamespaced { document.metadata["namespace"] = .string(namespace) }
        var live: Document?
        do throws(APIError) {
            live = try await session.client.get(
                ObjectKey(information.resource, namespace: namespace, name: document.name))
        } catch {
            if error.reason != .notFound { throw error }
        }
        var options = WriteOptions(fieldManager: "espalier")
        options.dryRun = true
        options.force = true
        let wanted = try await session.client.apply(document, subresource: nil, options: options)
        let name = ApplyCommand.name(information, document.name)
        return LineDifference.unified(
            from: live.map(Self.lines) ?? [], to: Self.lines(wanted),
            names: ("live/\(name)", "\(manifest.file)/\(name)"))
    }

    /// The document as YAML lines, without the fields that change with every write. Values of Secrets are only told
    /// apart.
    private static func lines(_ document: Document) -> [String] {
        var document = document
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            document.metadata[field] = nil
        }
        if document.kind == "Secret", var data = document["data"]?.objectValue {
            for member in data.members { data[member.key] = .string("*** (\(fingerprint(member.value)))") }
            document["data"] = .object(data)
        }
        return YAMLWriter.text(document.json).split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(
            String.init)
    }

    private static func fingerprint(_ value: JSON) -> String { "\(value.stringValue?.utf8.count ?? 0) bytes of base64" }
}

/// The difference of two texts in the unified form.
enum LineDifference {
    /// Lines to show around a change.
    private static let context = 3

    /// Empty where the texts are equal; otherwise two header lines and a hunk for each group of changes.
    static func unified(from old: [String], to new: [String], names: (String, String)) -> [String] {
        let edits = edits(old, new)
        let changed = edits.indices.filter { edits[$0].mark != " " }
        if changed.isEmpty { return [] }
        var lines = ["--- \(names.0)", "+++ \(names.1)"]
        var start = 0
        while start < changed.count {
            var end = start
            while end + 1 < changed.count, changed[end + 1] - changed[end] <= 2 * context { end += 1 }
            let range = max(0, changed[start] - context)...min(edits.count - 1, changed[end] + context)
            let before = edits[..<range.lowerBound]
            let hunk = edits[range]
            let oldStart = before.count { $0.mark != "+" }
            let newStart = before.count { $0.mark != "-" }
            let oldCount = hunk.count { $0.mark != "+" }
            let newCount = hunk.count { $0.mark != "-" }
            lines.append(
                "@@ -\(oldCount == 0 ? oldStart : oldStart + 1),\(oldCount) "
                    + "+\(newCount == 0 ? newStart : newStart + 1),\(newCount) @@"
            )
            lines += hunk.map { "\($0.mark)\($0.line)" }
            start = end + 1
        }
        return lines
    }

    /// Every line of both texts, marked as kept, removed or added, in reading order.
    private static func edits(_ old: [String], _ new: [String]) -> [(mark: Character, line: String)] {
        let difference = new.difference(from: old)
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in difference {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var edits: [(mark: Character, line: String)] = []
        var position = 0
        for (offset, line) in old.enumerated() {
            if removed.contains(offset) {
                edits.append(("-", line))
                continue
            }
            while inserted.contains(position) {
                edits.append(("+", new[position]))
                position += 1
            }
            edits.append((" ", line))
            position += 1
        }
        while position < new.count {
            edits.append(("+", new[position]))
            position += 1
        }
        return edits
    }
}
