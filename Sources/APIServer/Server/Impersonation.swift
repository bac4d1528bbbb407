internal import Documents
internal import NIOHTTP1

/// The wish to act as somebody else, from the headers of a request.
struct Impersonation {
    private static let extraPrefix = "impersonate-extra-"

    private let user: String
    private let groups: [String]
    private let uid: String
    private let extra: [(name: String, values: [String])]

    /// `nil` where nobody is named. Groups without a user are refused later: nobody may be the empty user.
    init?(_ headers: HTTPHeaders) {
        let names = ["Impersonate-User", "Impersonate-Group", "Impersonate-Uid"]
        extra = Self.extra(headers)
        guard !extra.isEmpty || names.contains(where: { headers.contains(name: $0) }) else { return nil }
        user = headers.first(name: "Impersonate-User") ?? ""
        groups = headers["Impersonate-Group"]
        uid = headers.first(name: "Impersonate-Uid") ?? ""
    }

    /// Names come in the header's name, in lower case and percent encoded.
    private static func extra(_ headers: HTTPHeaders) -> [(name: String, values: [String])] {
        var result: [String: [String]] = [:]
        for (header, value) in headers where header.lowercased().hasPrefix(extraPrefix) {
            let encoded = Array(header.lowercased().utf8.dropFirst(extraPrefix.utf8.count))
            // A name that is badly encoded stands for itself, as upstream has it.
            let name =
                (try? PercentEncoding.decode(encoded[...], plusIsSpace: false))
                ?? String(decoding: encoded, as: UTF8.self)
            result[name, default: []].append(value)
        }
        return result.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What the one who asks must be allowed.
    func accessRequests(by identity: Identity) -> [AccessRequest] {
        func access(_ resource: GroupResource, _ name: String, subresource: String = "") -> AccessRequest {
            var request = AccessRequest(identity: identity, verb: "impersonate", resource: resource)
            request.name = name
            request.subresource = subresource
            return request
        }
        func core(_ resource: String) -> GroupResource { GroupResource(group: "", resource: resource) }
        func authentication(_ resource: String) -> GroupResource {
            GroupResource(group: "authentication.k8s.io", resource: resource)
        }
        var requests: [AccessRequest] = []
        if let (namespace, name) = Self.serviceAccount(user) {
            var request = access(WellKnown.serviceAccounts, name)
            request.namespace = namespace
            requests.append(request)
        } else {
            requests.append(access(core("users"), user))
        }
        requests += groups.map { access(core("groups"), $0) }
        if !uid.isEmpty { requests.append(access(authentication("uids"), uid)) }
        for (name, values) in extra {
            requests += values.map { access(authentication("userextras"), $0, subresource: name) }
        }
        return requests
    }

    private static func serviceAccount(_ user: String) -> (namespace: String, name: String)? {
        let parts = user.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" else { return nil }
        return (parts[2], parts[3])
    }

    var identity: Identity {
        var groups = groups
        if groups.isEmpty, let (namespace, _) = Self.serviceAccount(user) {
            groups = Identity.serviceAccountGroups(namespace: namespace)
        }
        let isAnonymous = user.isEmpty || user == Credentials.anonymous.user
        let added = isAnonymous ? "system:unauthenticated" : "system:authenticated"
        if !groups.contains(added) { groups.append(added) }
        var identity = Identity(user: user, uid: uid, groups: groups)
        identity.extra = extra
        return identity
    }
}
