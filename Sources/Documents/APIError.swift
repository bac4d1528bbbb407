/// Why an API request was refused: what a Kubernetes `Status` document says. Everything that can refuse a request,
/// admission, the API server, a client's transport, throws this one type.
package struct APIError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Machine-readable reasons, spelled as Kubernetes spells them.
    package enum Reason: String, Sendable {
        case badRequest = "BadRequest"
        case unauthorized = "Unauthorized"
        case forbidden = "Forbidden"
        case notFound = "NotFound"
        case methodNotAllowed = "MethodNotAllowed"
        case notAcceptable = "NotAcceptable"
        case alreadyExists = "AlreadyExists"
        case conflict = "Conflict"
        case expired = "Expired"
        case requestEntityTooLarge = "RequestEntityTooLarge"
        case unsupportedMediaType = "UnsupportedMediaType"
        case invalid = "Invalid"
        case tooManyRequests = "TooManyRequests"
        case internalError = "InternalError"
        case serviceUnavailable = "ServiceUnavailable"
        case timeout = "Timeout"
        /// No reason is given.
        case unknown = ""
    }

    /// One reason among several, with the field it is about.
    package struct Cause: Sendable, Equatable {
        /// For example `FieldValueInvalid`; empty where no reason is given.
        package var reason: String
        package var message: String
        /// A field path such as `spec.rules[0].backends`; empty when the cause is about no field.
        package var field: String

        package init(reason: String, message: String, field: String) {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    package var code: Int
    package var reason: Reason
    package var message: String
    package var name: String
    package var group: String
    /// The plural resource, or the Kind for `Invalid`.
    package var kind: String
    package var uid: String
    package var causes: [Cause]
    package var retryAfterSeconds: Int

    package init(
        code: Int, reason: Reason, message: String, name: String = "", group: String = "", kind: String = "",
        uid: String = "", causes: [Cause] = [], retryAfterSeconds: Int = 0
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.name = name
        self.group = group
        self.kind = kind
        self.uid = uid
        self.causes = causes
        self.retryAfterSeconds = retryAfterSeconds
    }

    package var description: String { reason == .unknown ? message : "\(reason.rawValue): \(message)" }

    package static func badRequest(_ message: String) -> APIError {
        APIError(code: 400, reason: .badRequest, message: message)
    }

    package static func notFound(_ resource: GroupResource, _ name: String) -> APIError {
        APIError(
            code: 404, reason: .notFound, message: "\(resource) \"\(name)\" not found", name: name,
            group: resource.group, kind: resource.resource)
    }

    package static func alreadyExists(_ resource: GroupResource, _ name: String) -> APIError {
        APIError(
            code: 409, reason: .alreadyExists, message: "\(resource) \"\(name)\" already exists", name: name,
            group: resource.group, kind: resource.resource)
    }

    package static func conflict(_ resource: GroupResource, _ name: String, _ why: String) -> APIError {
        APIError(
            code: 409, reason: .conflict, message: "Operation cannot be fulfilled on \(resource) \"\(name)\": \(why)",
            name: name, group: resource.group, kind: resource.resource)
    }

    package static func expired(_ message: String) -> APIError {
        APIError(code: 410, reason: .expired, message: message)
    }

    /// 422 with every cause in one sentence, as a real API server words it.
    package static func invalid(_ kind: GroupVersionKind, _ name: String, _ causes: [Cause]) -> APIError {
        let parts = causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }
        let text = parts.count == 1 ? parts[0] : "[\(parts.joined(separator: ", "))]"
        let resource = GroupResource(group: kind.group, resource: kind.kind)
        return APIError(
            code: 422, reason: .invalid, message: "\(resource) \"\(name)\" is invalid: \(text)", name: name,
            group: kind.group, kind: kind.kind, causes: causes)
    }

    private static let unfitText = "failed to create typed patch object "

    /// A configuration to apply that does not fit the schema: 500 without a reason, as upstream answers.
    package static func unfit(_ document: Document, _ problems: String) -> APIError {
        let place = "(\(document.namespace)/\(document.name); \(document.groupVersionKind))"
        return APIError(code: 500, reason: .unknown, message: "\(unfitText)\(place): \(problems)")
    }

    /// Whether it is `unfit`, which no trying again helps, whatever its code says.
    package var isUnfit: Bool { reason == .unknown && message.hasPrefix(Self.unfitText) }

    /// The `Status` document that goes to the client. What a client sent comes back in it at bounded length.
    package var status: JSON {
        var details = JSONObject()
        for (member, text) in [("name", name), ("group", group), ("kind", kind), ("uid", uid)] where !text.isEmpty {
            details[member] = .string(Self.shortened(text, DocumentLimits.causeTextBytes))
        }
        if !causes.isEmpty {
            details["causes"] = .array(
                causes.map { cause in
                    var json = JSONObject()
                    if !cause.reason.isEmpty { json["reason"] = .string(cause.reason) }
                    json["message"] = .string(Self.shortened(cause.message, DocumentLimits.causeTextBytes))
                    if !cause.field.isEmpty {
                        json["field"] = .string(Self.shortened(cause.field, DocumentLimits.causeTextBytes))
                    }
                    return .object(json)
                })
        }
        if retryAfterSeconds > 0 { details["retryAfterSeconds"] = .integer(Int64(retryAfterSeconds)) }
        var status: JSONObject = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(Self.shortened(message, DocumentLimits.statusTextBytes)),
        ]
        if reason != .unknown { status["reason"] = .string(reason.rawValue) }
        // Upstream sends empty details with this one reason.
        if !details.isEmpty || reason == .methodNotAllowed { status["details"] = .object(details) }
        status["code"] = .integer(Int64(code))
        return .object(status)
    }

    /// The text without its middle where it is too long: what it is about stands in front, what is wrong at the end.
    private static func shortened(_ text: String, _ limit: Int) -> String {
        let count = text.utf8.count
        if count <= limit { return text }
        let head = String(decoding: text.utf8.prefix(limit * 3 / 4), as: UTF8.self)
        let tail = String(decoding: text.utf8.suffix(limit / 4), as: UTF8.self)
        return "\(head) … \(count - limit) bytes … \(tail)"
    }

    /// The error in a `Status` document a server answered; `nil` where `json` is none.
    package init?(status json: JSON) {
        guard json["kind"]?.stringValue == "Status", json["status"]?.stringValue != "Success" else { return nil }
        let details = json["details"]
        self.init(
            code: Int(json["code"]?.integerValue ?? 500),
            reason: json["reason"].map { $0.stringValue.flatMap(Reason.init) ?? .internalError } ?? .unknown,
            message: json["message"]?.stringValue ?? "the server gave no message",
            name: details?["name"]?.stringValue ?? "", group: details?["group"]?.stringValue ?? "",
            kind: details?["kind"]?.stringValue ?? "", uid: details?["uid"]?.stringValue ?? "",
            causes: (details?["causes"]?.arrayValue ?? []).map {
                Cause(
                    reason: $0["reason"]?.stringValue ?? "", message: $0["message"]?.stringValue ?? "",
                    field: $0["field"]?.stringValue ?? "")
            },
            retryAfterSeconds: Int(details?["retryAfterSeconds"]?.integerValue ?? 0))
    }
}
