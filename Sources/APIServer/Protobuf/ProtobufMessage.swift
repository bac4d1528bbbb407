/// The fields of one protobuf message, by number, under their JSON names. The tables cover what typed clients send of their
/// own accord; adding a kind is adding a table. Source: the `generated.proto` and `types.go` files of release 1.32.
struct ProtobufMessage: Sendable {
    enum FieldType: Sendable {
        case string
        /// Written as base64.
        case bytes
        case integer
        case bool
        /// `Time`, or `MicroTime` when precise.
        case time(precise: Bool)
        /// Bytes that are JSON, wrapped in a message.
        case json
        /// An entry of `map<string, string>` or `map<string, bytes>`.
        case mapEntry(isBytes: Bool)
        case message(@Sendable () -> ProtobufMessage)
    }

    enum Shape: Sendable { case single, list, map }

    struct Field: Sendable {
        var name: String
        var type: FieldType
        var shape = Shape.single
        /// A Go pointer: an explicit zero is kept.
        var isPointer = false
    }

    var fields: [Int: Field]

    /// The message of a kind; `nil` where there is no table.
    static func root(kind: String) -> ProtobufMessage? { roots[kind] }

    private static let roots: [String: ProtobufMessage] = [
        "DeleteOptions": deleteOptions,
        "Namespace": object(spec: .init(fields: [1: strings("finalizers")])),
        "ConfigMap": object([
            2: map("data"), 3: map("binaryData", isBytes: true), 4: bool("immutable", isPointer: true),
        ]),
        "Secret": object([
            2: map("data", isBytes: true), 3: string("type"), 4: map("stringData"),
            5: bool("immutable", isPointer: true),
        ]),
        "ServiceAccount": object([
            2: list("secrets", objectReference), 3: list("imagePullSecrets", .init(fields: [1: string("name")])),
            4: bool("automountServiceAccountToken", isPointer: true),
        ]),
        "Event": event,
        "Lease": object(spec: leaseSpecification),
        "SelfSubjectReview": object([:]),
        "SelfSubjectAccessReview": object(spec: accessReviewSpecification),
        "SelfSubjectRulesReview": object(spec: .init(fields: [1: string("namespace")])),
        "TokenRequest": object(
            spec: .init(fields: [
                1: strings("audiences"), 3: message("boundObjectRef", boundObjectReference),
                4: integer("expirationSeconds", isPointer: true),
            ])),
        "Role": object([2: list("rules", policyRule)]),
        "ClusterRole": object([2: list("rules", policyRule)]),
        "RoleBinding": object([2: list("subjects", subject), 3: message("roleRef", roleReference)]),
        "ClusterRoleBinding": object([2: list("subjects", subject), 3: message("roleRef", roleReference)]),
    ]

    private static let metadata = ProtobufMessage(fields: [
        1: string("name"), 2: string("generateName"), 3: string("namespace"), 5: string("uid"),
        6: string("resourceVersion"),
        7: integer("generation"), 8: time("creationTimestamp"), 9: time("deletionTimestamp"),
        10: integer("deletionGracePeriodSeconds", isPointer: true), 11: map("labels"), 12: map("annotations"),
        13: list("ownerReferences", ownerReference), 14: strings("finalizers"),
        17: list("managedFields", managedFieldsEntry),
    ])

    private static let ownerReference = ProtobufMessage(fields: [
        1: string("kind"), 3: string("name"), 4: string("uid"), 5: string("apiVersion"),
        6: bool("controller", isPointer: true),
        7: bool("blockOwnerDeletion", isPointer: true),
    ])

    private static let managedFieldsEntry = ProtobufMessage(fields: [
        1: string("manager"), 2: string("operation"), 3: string("apiVersion"), 4: time("time"), 6: string("fieldsType"),
        7: Field(name: "fieldsV1", type: .json), 8: string("subresource"),
    ])

    private static let deleteOptions = ProtobufMessage(fields: [
        1: integer("gracePeriodSeconds", isPointer: true),
        2: message(
            "preconditions",
            .init(fields: [1: string("uid", isPointer: true), 2: string("resourceVersion", isPointer: true)])),
        3: bool("orphanDependents", isPointer: true), 4: string("propagationPolicy", isPointer: true),
        5: strings("dryRun"),
    ])

    private static let objectReference = ProtobufMessage(fields: [
        1: string("kind"), 2: string("namespace"), 3: string("name"), 4: string("uid"), 5: string("apiVersion"),
        6: string("resourceVersion"), 7: string("fieldPath"),
    ])

    private static let boundObjectReference = ProtobufMessage(fields: [
        1: string("kind"), 2: string("apiVersion"), 3: string("name"), 4: string("uid"),
    ])

    private static let event = object([
        2: message("involvedObject", objectReference), 3: string("reason"), 4: string("message"),
        5: message("source", .init(fields: [1: string("component"), 2: string("host")])), 6: time("firstTimestamp"),
        7: time("lastTimestamp"), 8: integer("count"), 9: string("type"), 10: time("eventTime", precise: true),
        11: message("series", .init(fields: [1: integer("count"), 2: time("lastObservedTime", precise: true)])),
        12: string("action"), 13: message("related", objectReference), 14: string("reportingComponent"),
        15: string("reportingInstance"),
    ])

    private static let leaseSpecification = ProtobufMessage(fields: [
        1: string("holderIdentity", isPointer: true), 2: integer("leaseDurationSeconds", isPointer: true),
        3: time("acquireTime", precise: true), 4: time("renewTime", precise: true),
        5: integer("leaseTransitions", isPointer: true),
        6: string("strategy", isPointer: true), 7: string("preferredHolder", isPointer: true),
    ])

    private static let accessReviewSpecification = ProtobufMessage(fields: [
        1: message(
            "resourceAttributes",
            .init(fields: [
                1: string("namespace"), 2: string("verb"), 3: string("group"), 4: string("version"),
                5: string("resource"),
                6: string("subresource"), 7: string("name"),
            ])),
        2: message("nonResourceAttributes", .init(fields: [1: string("path"), 2: string("verb")])),
    ])

    private static let policyRule = ProtobufMessage(fields: [
        1: strings("verbs"), 2: strings("apiGroups"), 3: strings("resources"), 4: strings("resourceNames"),
        5: strings("nonResourceURLs"),
    ])

    private static let subject = ProtobufMessage(fields: [
        1: string("kind"), 2: string("apiGroup"), 3: string("name"), 4: string("namespace"),
    ])

    private static let roleReference = ProtobufMessage(fields: [
        1: string("apiGroup"), 2: string("kind"), 3: string("name"),
    ])

    private static func object(_ fields: [Int: Field]) -> ProtobufMessage {
        ProtobufMessage(fields: fields.merging([1: message("metadata", metadata)]) { own, _ in own })
    }

    private static func object(spec: ProtobufMessage) -> ProtobufMessage { object([2: message("spec", spec)]) }

    private static func string(_ name: String, isPointer: Bool = false) -> Field {
        Field(name: name, type: .string, isPointer: isPointer)
    }
    private static func strings(_ name: String) -> Field { Field(name: name, type: .string, shape: .list) }
    private static func integer(_ name: String, isPointer: Bool = false) -> Field {
        Field(name: name, type: .integer, isPointer: isPointer)
    }
    private static func bool(_ name: String, isPointer: Bool = false) -> Field {
        Field(name: name, type: .bool, isPointer: isPointer)
    }
    private static func time(_ name: String, precise: Bool = false) -> Field {
        Field(name: name, type: .time(precise: precise))
    }
    private static func map(_ name: String, isBytes: Bool = false) -> Field {
        Field(name: name, type: .mapEntry(isBytes: isBytes), shape: .map)
    }
    private static func message(_ name: String, _ message: ProtobufMessage) -> Field {
        Field(name: name, type: .message { message })
    }
    private static func list(_ name: String, _ message: ProtobufMessage) -> Field {
        Field(name: name, type: .message { message }, shape: .list)
    }
}
