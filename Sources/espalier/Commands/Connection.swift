internal import ArgumentParser
internal import Client
internal import Documents
internal import Glibc

/// The options every command that talks to a server has.
struct Connection: ParsableArguments {
    @Option(help: "Kubeconfig file. Default: $KUBECONFIG, the data directory's, or ~/.kube/config.")
    var kubeconfig: String?

    @Option(help: "Context of the kubeconfig.")
    var context: String?

    @Option(help: "Data directory of a server on this machine, whose kubeconfig is used.")
    var dataDir: String?

    @Option(name: .shortAndLong, help: "Namespace. Default: the context's.")
    var namespace: String?

    /// A client for the server the options name, with the namespace to use.
    func open() throws -> Session {
        let file = try file()
        var endpoint = try Kubeconfig.endpoint(try Files.read(file), file: file, context: context, readFile: Files.read)
        endpoint.userAgent = "espalier"
        let client = try HTTPClient(
            endpoint: endpoint, onWarning: { Terminal.complain("Warning: \($0)") }, readFile: Files.read)
        return Session(client: client, namespace: namespace ?? endpoint.namespace)
    }

    private func file() throws -> String {
        if let kubeconfig { return kubeconfig }
        if let dataDir { return "\(dataDir)/kubeconfig" }
        if let variable = getenv("KUBECONFIG") {
            let paths = String(cString: variable).split(separator: ":").map(String.init)
            if let first = paths.first(where: Files.exists) ?? paths.first { return first }
        }
        let home = getenv("HOME").map { String(cString: $0) } ?? ""
        let candidates = ["\(home)/.local/share/espalier/kubeconfig", "\(home)/.kube/config"]
        if let found = candidates.first(where: Files.exists) { return found }
        throw Files.Failure(
            description:
                "no kubeconfig found; start a server with `espalier serve` or hack/up, or name one with --kubeconfig")
    }
}

/// An open connection, and the namespace commands work in.
struct Session {
    let client: HTTPClient
    let namespace: String

    /// One resource by the name a user gives it: plural, singular, short name or kind, with or without its group.
    func resource(named name: String, among known: [DiscoveredResource]) throws -> DiscoveredResource {
        let parts = name.lowercased().split(separator: ".", maxSplits: 1).map(String.init)
        let found = known.first { entry in
            let information = entry.information
            let names =
                [information.resource.resource, entry.singular, information.kind.lowercased()] + entry.shortNames
            let isGroup =
                parts.count < 2 || information.resource.group == parts[1]
                || information.resource.group.hasPrefix(parts[1] + ".")
            return names.contains(parts.first ?? "") && isGroup
        }
        guard let found else {
            throw APIError.badRequest(
                "the server doesn't have a resource type \"\(name)\"; `kubectl api-resources` lists them")
        }
        return found
    }

    /// The namespace for a document of `information`, given the one it names itself.
    func namespace(for information: ResourceInformation, own: String = "") -> String {
        information.isNamespaced ? (own.isEmpty ? namespace : own) : ""
    }
}

/// What a user named: `landscapes`, `ls shop other`, `pods,services`, `landscape/shop`.
struct Selection {
    var resource: DiscoveredResource
    var names: [String]

    static func parse(_ arguments: [String], _ session: Session) async throws -> [Selection] {
        let known = try await session.client.resources()
        if arguments.contains(where: { $0.contains("/") }) {
            return try arguments.map { argument in
                let parts = argument.split(separator: "/", maxSplits: 1).map(String.init)
                guard parts.count == 2 else {
                    throw ValidationError("expected TYPE/NAME, found \"\(argument)\"; do not mix it with TYPE NAME")
                }
                return Selection(resource: try session.resource(named: parts[0], among: known), names: [parts[1]])
            }
        }
        let types = arguments.first?.split(separator: ",").map(String.init) ?? []
        if types.isEmpty { throw ValidationError("expected a type, such as landscapes") }
        let names = Array(arguments.dropFirst())
        return try types.flatMap { type -> [Selection] in
            let category = known.filter { $0.categories.contains(type) && $0.verbs.contains("list") }
            if !category.isEmpty { return category.map { Selection(resource: $0, names: names) } }
            return [Selection(resource: try session.resource(named: type, among: known), names: names)]
        }
    }
}
