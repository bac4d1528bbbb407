import Documents

/// A CustomResourceDefinition: names, one stored version, a structural schema whose patterns and rules can be read.
enum ResourceDefinitionRules {
    static func check(_ context: inout RuleContext) {
        let document = context.document
        let spec = document.spec
        let names = spec["names"] ?? .null
        let group = spec["group"]?.stringValue ?? ""
        let plural = names["plural"]?.stringValue ?? ""
        if !document.name.isSameBytes(as: "\(plural).\(group)") {
            let detail = "must be spec.names.plural+\".\"+spec.group"
            context.report(.invalid("metadata.name", .string(document.name), detail))
        }
        checkGroup(&context, group)
        checkNames(&context, names)
        let scope = spec["scope"]?.stringValue ?? ""
        if scope != "Namespaced", scope != "Cluster" {
            context.report(.notSupported("spec.scope", .string(scope), ["Cluster", "Namespaced"]))
        }
        checkVersions(&context, spec["versions"]?.arrayValue ?? [])
        checkConversion(&context, spec["conversion"] ?? .null)
        guard context.old != nil else { return }
        context.requireImmutable("spec.group", ["spec", "group"])
        context.requireImmutable("spec.scope", ["spec", "scope"])
        context.requireImmutable("spec.names.kind", ["spec", "names", "kind"])
        context.requireImmutable("spec.names.plural", ["spec", "names", "plural"])
    }

    private static func checkGroup(_ context: inout RuleContext, _ group: String) {
        if group.isEmpty { return context.report(.required("spec.group")) }
        if let problem = NameRules.subdomainProblem(group) {
            context.report(.invalid("spec.group", .string(group), problem))
        } else if !group.contains(".") {
            context.report(.invalid("spec.group", .string(group), "should be a domain with at least one dot"))
        }
    }

    private static func checkNames(_ context: inout RuleContext, _ names: JSON) {
        var texts: [(String, String)] = []
        for key in ["plural", "singular", "kind", "listKind"] {
            if let text = names[key]?.stringValue { texts.append(("spec.names.\(key)", text)) }
        }
        for key in ["shortNames", "categories"] {
            for (index, item) in (names[key]?.arrayValue ?? []).enumerated() {
                texts.append(("spec.names.\(key)[\(index)]", item.stringValue ?? ""))
            }
        }
        for (field, text) in texts {
            let lowered = field.hasSuffix("ind") ? text.lowercased() : text
            if let problem = NameRules.serviceNameProblem(lowered) {
                context.report(.invalid(field, .string(text), problem))
            }
        }
        for key in ["plural", "kind"] where names[key]?.stringValue?.isEmpty ?? true {
            context.report(.required("spec.names.\(key)"))
        }
    }

    private static func checkVersions(_ context: inout RuleContext, _ versions: [JSON]) {
        if versions.isEmpty { return context.report(.required("spec.versions")) }
        context.requireUnique(
            versions.enumerated().compactMap { index, version in
                version["name"].map { ("spec.versions[\(index)].name", $0) }
            })
        if versions.filter({ $0["storage"]?.boolValue == true }).count != 1 {
            let detail = "must have exactly one version marked as storage version"
            context.report(FieldError(.invalid, "spec.versions", "Invalid value: \(detail)"))
        }
        for (index, version) in versions.enumerated() {
            let field = "spec.versions[\(index)]"
            let name = version["name"]?.stringValue ?? ""
            if let problem = NameRules.serviceNameProblem(name) {
                context.report(.invalid("\(field).name", .string(name), problem))
            }
            let place = "\(field).schema.openAPIV3Schema"
            guard let schema = version["schema"]?["openAPIV3Schema"], schema.objectValue != nil else {
                context.report(.required(place, "schemas are required"))
                continue
            }
            if schema["type"]?.stringValue != "object" {
                context.report(.invalid("\(place).type", schema["type"] ?? "", "must be object at the root"))
            }
            checkSelectableFields(&context, version["selectableFields"]?.arrayValue ?? [], schema, at: field)
            var check = StructuralCheck()
            check.visit(schema, at: place, depth: 0)
            check.errors.forEach { context.report($0) }
            if check.errors.isEmpty {
                let before = oldSchema(context, name).map { Schema($0) }
                RuleCheck.errors(of: Schema(schema), old: before, at: place).forEach { context.report($0) }
            }
        }
    }

    /// The schema of a version as it is stored.
    private static func oldSchema(_ context: RuleContext, _ name: String) -> JSON? {
        let versions = context.old?.spec["versions"]?.arrayValue ?? []
        return versions.first { $0["name"]?.stringValue == name }?["schema"]?["openAPIV3Schema"]
    }
}

extension ResourceDefinitionRules {
    /// Fields that selectors may name: plain members that are scalars, few of them, each once.
    fileprivate static func checkSelectableFields(
        _ context: inout RuleContext, _ fields: [JSON], _ schema: JSON, at place: String
    ) {
        let place = "\(place).selectableFields"
        if fields.count > AdmissionLimits.selectableFields {
            context.report(.tooMany(place, fields.count, AdmissionLimits.selectableFields))
        }
        context.requireUnique(
            fields.enumerated().compactMap { index, field in
                field["jsonPath"].map { ("\(place)[\(index)].jsonPath", $0) }
            })
        for (index, field) in fields.enumerated() {
            let own = "\(place)[\(index)].jsonPath"
            guard let path = field["jsonPath"]?.stringValue, !path.isEmpty else {
                context.report(.required(own))
                continue
            }
            if let problem = problem(ofSelectable: path, schema) {
                context.report(.invalid(own, .string(path), problem))
            }
        }
    }

    private static func problem(ofSelectable path: String, _ schema: JSON) -> String? {
        guard path.hasPrefix("."), !path.contains("["), !path.contains("(") else {
            return "must be a simple path of members, such as .spec.name"
        }
        let names = path.split(separator: ".").map(String.init)
        if names.isEmpty || names[0] == "metadata" { return "must not point to fields in metadata" }
        var node: JSON? = schema
        for name in names { node = node?["properties"]?[name] }
        guard let node else { return "must point to a field of the schema" }
        let type = node["type"]?.stringValue ?? ""
        return ["string", "boolean", "integer"].contains(type)
            ? nil : "must point to a field of type string, boolean or integer. Enum string fields are also supported"
    }

    fileprivate static func checkConversion(_ context: inout RuleContext, _ conversion: JSON) {
        guard let strategy = conversion["strategy"]?.stringValue else { return }
        let webhook = conversion["webhook"] ?? .null
        switch strategy {
        case "None":
            if !webhook.isNull {
                context.report(
                    .forbidden("spec.conversion.webhook", "should not be set when strategy is not set to Webhook"))
            }
        case "Webhook":
            if webhook["clientConfig"] == nil {
                context.report(
                    .required("spec.conversion.webhook.clientConfig", "required when strategy is set to Webhook"))
            }
            let versions = (webhook["conversionReviewVersions"]?.arrayValue ?? []).compactMap(\.stringValue)
            if versions.isEmpty { return context.report(.required("spec.conversion.webhook.conversionReviewVersions")) }
            if !versions.contains("v1"), !versions.contains("v1beta1") {
                context.report(
                    .invalid(
                        "spec.conversion.webhook.conversionReviewVersions", .array(versions.map(JSON.string)),
                        "must include at least one of v1, v1beta1"))
            }
        default: context.report(.notSupported("spec.conversion.strategy", .string(strategy), ["None", "Webhook"]))
        }
    }
}

/// Whether a schema is structural: every value has a type, and nothing contradicts itself.
private struct StructuralCheck {
    var errors: [FieldError] = []

    mutating func visit(_ schema: JSON, at place: String, depth: Int) {
        if depth > DocumentLimits.nestingDepth || errors.count > AdmissionLimits.errors { return }
        checkType(schema, at: place, isRoot: depth == 0)
        checkList(schema, at: place)
        if let pattern = schema["pattern"]?.stringValue, Pattern.compiled(pattern) == nil {
            errors.append(.invalid("\(place).pattern", .string(pattern), "must be a valid regular expression"))
        }
        if let limits = schema["default"], !limits.isNull { checkDefault(limits, schema, at: place) }
        for (index, rule) in (schema["x-kubernetes-validations"]?.arrayValue ?? []).enumerated() {
            check(rule: rule, at: "\(place).x-kubernetes-validations[\(index)]")
        }
        for keyword in [
            "$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties", "readOnly",
            "writeOnly", "xml",
        ]
        where schema[keyword] != nil {
            errors.append(.forbidden("\(place).\(keyword)", "not supported in a structural schema"))
        }
        if schema["uniqueItems"]?.boolValue == true {
            errors.append(
                .forbidden(
                    "\(place).uniqueItems",
                    "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
        }
        visitBelow(schema, at: place, depth: depth)
    }

    private mutating func visitBelow(_ schema: JSON, at place: String, depth: Int) {
        for member in schema["properties"]?.objectValue?.members ?? [] {
            visit(member.value, at: "\(place).properties[\(member.key)]", depth: depth + 1)
        }
        if let below = schema["additionalProperties"], below.objectValue != nil {
            if schema["properties"]?.objectValue?.isEmpty == false {
                errors.append(
                    .forbidden(
                        "\(place).additionalProperties", "additionalProperties and properties are mutual exclusive"))
            }
            visit(below, at: "\(place).additionalProperties", depth: depth + 1)
        }
        if let items = schema["items"] {
            if items.objectValue == nil {
                errors.append(.forbidden("\(place).items", "items must be a schema object and not an array"))
            } else {
                visit(items, at: "\(place).items", depth: depth + 1)
            }
        }
    }

    private mutating func checkType(_ schema: JSON, at place: String, isRoot: Bool) {
        let type = schema["type"]?.stringValue ?? ""
        let isFree =
            schema["x-kubernetes-int-or-string"]?.boolValue == true
            || schema["x-kubernetes-preserve-unknown-fields"]?.boolValue == true
        if type.isEmpty {
            if !isFree || isRoot {
                errors.append(.required("\(place).type", "must not be empty for specified object fields"))
            }
        } else if Schema.ValueType(rawValue: type) == nil {
            let allowed: [JSON] = ["array", "boolean", "integer", "number", "object", "string"]
            errors.append(.notSupported("\(place).type", .string(type), allowed))
        }
        if type == "array", schema["items"] == nil { errors.append(.required("\(place).items", "must be specified")) }
        if schema["properties"] != nil, !type.isEmpty, type != "object" {
            errors.append(.forbidden("\(place).properties", "must be of type object"))
        }
    }

    private mutating func checkList(_ schema: JSON, at place: String) {
        guard let list = schema["x-kubernetes-list-type"]?.stringValue else { return }
        let keys = schema["x-kubernetes-list-map-keys"]?.arrayValue ?? []
        switch list {
        case "map":
            if keys.isEmpty {
                errors.append(
                    .required(
                        "\(place).x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"))
            }
            let properties = schema["items"]?["properties"]
            let required = schema["items"]?["required"]?.arrayValue ?? []
            for key in keys {
                guard let name = key.stringValue, let property = properties?[name] else {
                    let detail = "entries must all be names of item properties"
                    errors.append(.invalid("\(place).x-kubernetes-list-map-keys", key, detail))
                    continue
                }
                if !required.contains(key), property["default"] == nil {
                    let detail =
                        "this property is in x-kubernetes-list-map-keys, so it must have a default "
                        + "or be a required property"
                    errors.append(.required("\(place).items.properties[\(name)].default", detail))
                }
            }
        case "set", "atomic": break
        default:
            errors.append(.notSupported("\(place).x-kubernetes-list-type", .string(list), ["atomic", "set", "map"]))
        }
    }

    private mutating func checkDefault(_ value: JSON, _ schema: JSON, at place: String) {
        var validation = SchemaValidation()
        validation.document(
            ["value": value], old: nil, schema: Schema(["type": "object", "properties": ["value": schema]]))
        for error in validation.errors {
            errors.append(FieldError(error.reason, "\(place).default", error.message))
        }
    }

    private mutating func check(rule: JSON, at place: String) {
        if rule["rule"]?.stringValue?.utf8.allSatisfy({ $0 <= 0x20 }) ?? true {
            errors.append(.required("\(place).rule", "rule is not specified"))
        }
    }
}
