import Synchronization

/// A structural schema: the part of OpenAPI v3 that a CustomResourceDefinition may use. Built once from its JSON,
/// immutable after. Built-in kinds have one of the same form.
package final class Schema: Sendable {
    package enum ValueType: String, Sendable { case object, array, string, integer, number, boolean }

    /// `x-kubernetes-list-type`: how apply merges a list.
    package enum ListType: String, Sendable { case atomic, set, map }

    /// An `x-kubernetes-validations` entry: a CEL rule and what to say when it fails.
    package struct Rule: Sendable, Equatable {
        package var rule: String
        package var message: String
        package var messageExpression: String
        /// `FieldValueInvalid` and the like; empty means `FieldValueInvalid`.
        package var reason: String
        package var fieldPath: String
        /// `oldSelf` is an optional, and the rule is run also where there is no old value.
        package var optionalOldSelf: Bool?
    }

    package let type: ValueType?
    package let description: String
    package let properties: [String: Schema]
    package let additionalProperties: Schema?
    /// `additionalProperties: true` (or a schema): members that are not in `properties` are known.
    package let allowsAdditionalProperties: Bool
    package let items: Schema?
    package let required: [String]
    package let nullable: Bool
    package let defaultValue: JSON?
    package let enumeration: [JSON]
    package let pattern: String?
    package let format: String?
    package let minimum: Double?
    package let maximum: Double?
    package let exclusiveMinimum: Bool
    package let exclusiveMaximum: Bool
    package let multipleOf: Double?
    package let minLength: Int?
    package let maxLength: Int?
    package let minItems: Int?
    package let maxItems: Int?
    package let uniqueItems: Bool
    package let minProperties: Int?
    package let maxProperties: Int?
    package let allOf: [Schema]
    package let anyOf: [Schema]
    package let oneOf: [Schema]
    package let not: Schema?
    package let isIntOrString: Bool
    package let preservesUnknownFields: Bool
    package let isEmbeddedResource: Bool
    package let listType: ListType
    package let listMapKeys: [String]
    /// By which member strategic merge patches tell elements apart, in lists that apply owns as a whole.
    package let patchMergeKey: String?
    /// `x-kubernetes-map-type: atomic`: apply owns the object as a whole.
    package let isAtomicMap: Bool
    package let rules: [Rule]
    /// Names of the properties that have a default, in order.
    package let defaultedProperties: [String]
    /// Whether this schema or one below it has a rule.
    package let containsRules: Bool
    /// The JSON the schema was made from, for OpenAPI documents.
    package let source: JSON

    /// Reads a schema without judging it: unknown keywords are ignored, members of the wrong type count as missing.
    /// Whether a CRD's schema is acceptable is admission's question.
    package init(_ json: JSON) {
        func count(_ key: String) -> Int? { json[key]?.integerValue.flatMap { Int(exactly: $0) } }
        func schemas(_ key: String) -> [Schema] { (json[key]?.arrayValue ?? []).map(Schema.init) }
        type = json["type"]?.stringValue.flatMap(ValueType.init)
        description = json["description"]?.stringValue ?? ""
        var properties: [String: Schema] = [:]
        for member in json["properties"]?.objectValue?.members ?? [] {
            properties[member.key] = Self.shared(member.value)
        }
        self.properties = properties
        additionalProperties = json["additionalProperties"]?.objectValue.map { Self.shared(.object($0)) }
        allowsAdditionalProperties = additionalProperties != nil || json["additionalProperties"]?.boolValue == true
        items = json["items"]?.objectValue.map { Self.shared(.object($0)) }
        required = (json["required"]?.arrayValue ?? []).compactMap(\.stringValue)
        nullable = json["nullable"]?.boolValue ?? false
        defaultValue = json["default"]
        enumeration = json["enum"]?.arrayValue ?? []
        pattern = json["pattern"]?.stringValue
        format = json["format"]?.stringValue
        minimum = json["minimum"]?.doubleValue
        maximum = json["maximum"]?.doubleValue
        exclusiveMinimum = json["exclusiveMinimum"]?.boolValue ?? false
        exclusiveMaximum = json["exclusiveMaximum"]?.boolValue ?? false
        multipleOf = json["multipleOf"]?.doubleValue
        minLength = count("minLength")
        maxLength = count("maxLength")
        minItems = count("minItems")
        maxItems = count("maxItems")
        uniqueItems = json["uniqueItems"]?.boolValue ?? false
        minProperties = count("minProperties")
        maxProperties = count("maxProperties")
        allOf = schemas("allOf")
        anyOf = schemas("anyOf")
        oneOf = schemas("oneOf")
        not = json["not"]?.objectValue.map { Schema(.object($0)) }
        isIntOrString = json["x-kubernetes-int-or-string"]?.boolValue ?? false
        preservesUnknownFields = json["x-kubernetes-preserve-unknown-fields"]?.boolValue ?? false
        isEmbeddedResource = json["x-kubernetes-embedded-resource"]?.boolValue ?? false
        listType = json["x-kubernetes-list-type"]?.stringValue.flatMap(ListType.init) ?? .atomic
        listMapKeys = (json["x-kubernetes-list-map-keys"]?.arrayValue ?? []).compactMap(\.stringValue)
        patchMergeKey = json["x-kubernetes-patch-merge-key"]?.stringValue
        isAtomicMap = json["x-kubernetes-map-type"]?.stringValue == "atomic"
        rules = (json["x-kubernetes-validations"]?.arrayValue ?? []).map {
            Rule(
                rule: $0["rule"]?.stringValue ?? "", message: $0["message"]?.stringValue ?? "",
                messageExpression: $0["messageExpression"]?.stringValue ?? "",
                reason: $0["reason"]?.stringValue ?? "", fieldPath: $0["fieldPath"]?.stringValue ?? "",
                optionalOldSelf: $0["optionalOldSelf"]?.boolValue)
        }
        defaultedProperties = properties.filter { $0.value.defaultValue != nil }.keys.sorted()
        containsRules =
            !rules.isEmpty || properties.values.contains { $0.containsRules } || items?.containsRules == true
            || additionalProperties?.containsRules == true
        source = json
    }

    private static let leaves = Mutex<[JSON: Schema]>([:])

    /// The schema of `json`. Most schemas are leaves such as `{type: string}`; equal ones are one object, which keeps
    /// the kinds that hold a pod template small.
    private static func shared(_ json: JSON) -> Schema {
        let nests = ["properties", "items", "additionalProperties", "description"]
        guard let object = json.objectValue, object.count <= 4, !nests.contains(where: object.contains) else {
            return Schema(json)
        }
        if let known = leaves.withLock({ $0[json] }) { return known }
        let schema = Schema(json)
        leaves.withLock { if $0.count < DocumentLimits.sharedSchemas { $0[json] = schema } }
        return schema
    }
}
