internal import ArgumentParser
internal import Client
internal import Documents

extension RolloutCommand {
    /// Applies the spec of an earlier landscape revision. The Landscape is written, so that what is declared is what
    /// runs.
    struct Undo: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Goes back to an earlier revision of the landscape; the one before the active one, unless told which.")
        @OptionGroup var target: Target
        @Option(help: "Number of the revision, such as 7 for shop-7.") var toRevision: Int64?

        func run() async throws {
            let session = try target.connection.open()
            let key = ObjectKey(
                GroupResource(group: "espalier.dev", resource: "landscapes"), namespace: session.namespace,
                name: target.name)
            let landscape = try await session.client.get(key)
            let revisions = try await revisions(of: landscape, session)
            let chosen = try choose(landscape, revisions)
            guard let spec = chosen["data"]?["spec"] else {
                throw APIError.badRequest("revision \(chosen.name) holds no spec")
            }
            let replaced = try await session.client.patch(
                key, .json([["op": "replace", "path": "/spec", "value": spec]]), subresource: nil,
                options: WriteOptions(fieldManager: "espalier"))
            let outcome =
                replaced.resourceVersion == landscape.resourceVersion
                ? "is declared already" : "goes back to \(chosen.name)"
            Terminal.print("landscape.espalier.dev/\(target.name) \(outcome)")
        }

        private func revisions(of landscape: Document, _ session: Session) async throws -> [Document] {
            var options = ListOptions()
            options.labelSelector = "app.kubernetes.io/part-of=\(landscape.name)"
            let resource = GroupResource(group: "apps", resource: "controllerrevisions")
            let all = try await session.client.list(resource, namespace: session.namespace, options: options).items
            return all.filter { $0.controller?.uid == landscape.uid }.sorted { Self.number($0) < Self.number($1) }
        }

        private func choose(_ landscape: Document, _ revisions: [Document]) throws -> Document {
            if let toRevision {
                if let found = revisions.first(where: { Self.number($0) == toRevision }) { return found }
                let known = revisions.map { String(Self.number($0)) }.joined(separator: ", ")
                throw APIError.badRequest(
                    "landscape \"\(landscape.name)\" has no revision \(toRevision); it has \(known)")
            }
            let status = landscape.status["revision"]
            let candidate = status?["candidate"]?.stringValue
            let active = status?["active"]?.stringValue
            // While a candidate is on its way, going back means the active one; otherwise the one before it.
            if let candidate, candidate != active, let found = revisions.first(where: { $0.name == active }) {
                return found
            }
            if let position = revisions.firstIndex(where: { $0.name == active }), position > 0 {
                return revisions[position - 1]
            }
            throw APIError.badRequest("landscape \"\(landscape.name)\" has no revision before \(active ?? "its first")")
        }

        private static func number(_ revision: Document) -> Int64 { revision["revision"]?.integerValue ?? 0 }
    }
}
