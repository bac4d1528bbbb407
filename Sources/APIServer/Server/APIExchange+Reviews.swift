internal import Documents
internal import NIOHTTP1
internal import Seams

/// The review kinds: questions about rights, dressed as documents.
extension APIExchange {
    func runReview(_ resource: ServedResource) throws(APIError) {
        guard request.method == .POST else { throw Self.methodNotAllowed }
        representation = try Representation.negotiate(accept: header("Accept"))
        representation.form = .document
        var options = WriteRequest(fieldManager: "")
        var document = try readDocument(resource, &options)
        switch resource.kind.kind {
        case "SelfSubjectReview":
            var user: JSONObject = ["username": .string(identity.user)]
            if !identity.uid.isEmpty { user["uid"] = .string(identity.uid) }
            user["groups"] = .array(identity.groups.map(JSON.string))
            document.json["metadata"] = ["creationTimestamp": .string(pipeline.clock.now().rfc3339)]
            document["status"] = ["userInfo": .object(user)]
        case "SelfSubjectRulesReview":
            let isAdministrator = handler.authorizer.allows(
                AccessRequest(identity: identity, verb: "*", resource: GroupResource(group: "*", resource: "*")))
            let all: JSON = ["*"]
            document["status"] = [
                "resourceRules": isAdministrator ? [["verbs": all, "apiGroups": all, "resources": all]] : [],
                "nonResourceRules": isAdministrator ? [["verbs": all, "nonResourceURLs": all]] : [],
                "incomplete": false,
            ]
        case "TokenReview":
            document["status"] = ["authenticated": false, "user": [:], "error": "token reviews are not served yet"]
        default:
            let isAllowed = handler.authorizer.allows(access(document, isSelf: resource.kind.kind.hasPrefix("Self")))
            document["status"] =
                isAllowed ? ["allowed": true, "reason": "system:masters may do everything"] : ["allowed": false]
        }
        answer(.created, document.json)
    }

    private func access(_ document: Document, isSelf: Bool) -> AccessRequest {
        let spec = document.spec
        var subject = identity
        if !isSelf {
            subject = Identity(
                user: spec["user"]?.stringValue ?? "", uid: spec["uid"]?.stringValue ?? "",
                groups: (spec["groups"]?.arrayValue ?? []).compactMap(\.stringValue))
        }
        func text(_ object: JSON?, _ name: String) -> String { object?[name]?.stringValue ?? "" }
        if let path = spec["nonResourceAttributes"] {
            return AccessRequest(identity: subject, verb: text(path, "verb"), path: text(path, "path"))
        }
        let attributes = spec["resourceAttributes"]
        var access = AccessRequest(
            identity: subject, verb: text(attributes, "verb"),
            resource: GroupResource(group: text(attributes, "group"), resource: text(attributes, "resource")))
        access.subresource = text(attributes, "subresource")
        access.namespace = text(attributes, "namespace")
        access.name = text(attributes, "name")
        return access
    }
}
