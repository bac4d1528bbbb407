/// A type of the language, as far as it is known before there are values.
package indirect enum CELType: Sendable, Equatable {
    /// Any value; what it may be used for shows when it is there.
    case dyn
    /// What a part that is wrong counts as, so that it is reported once.
    case error
    case null, bool, int, uint, double, string, bytes, duration, timestamp
    case list(CELType)
    case map(CELType, CELType)
    case optional(CELType)
    /// The type of a type.
    case type(CELType)
    /// An object whose members are declared.
    case object(CELDeclaration)
    /// A type that is known by its name alone, such as `net.IP`.
    case named(String)
    /// What inference is still to find out.
    case variable(Int)
    /// A variable in the declaration of a function.
    case parameter(String)

    static let quantity = named("kubernetes.Quantity")
    static let url = named("kubernetes.URL")
    static let semver = named("kubernetes.Semver")
    static let format = named("kubernetes.NamedFormat")
    static let ip = named("net.IP")
    static let cidr = named("net.CIDR")

    /// Types by the names that expressions call them by.
    static let names: [String: CELType] = [
        "bool": .bool, "bytes": .bytes, "double": .double, "int": .int, "uint": .uint, "string": .string,
        "null_type": .null, "list": .list(.dyn), "map": .map(.dyn, .dyn), "type": .type(.dyn),
        "optional_type": .optional(.dyn),
    ]
    static let qualifiedNames: [String: CELType] = [
        "google.protobuf.Duration": .duration, "google.protobuf.Timestamp": .timestamp, "net.IP": .ip,
        "net.CIDR": .cidr, "kubernetes.Quantity": .quantity, "kubernetes.URL": .url, "kubernetes.Semver": .semver,
        "kubernetes.NamedFormat": .format,
    ]

    /// The types it is made of.
    var parameters: [CELType] {
        switch self {
        case .list(let item), .optional(let item), .type(let item): [item]
        case .map(let key, let value): [key, value]
        default: []
        }
    }

    /// The same with its parts changed.
    func mapped(_ change: (CELType) -> CELType) -> CELType {
        switch self {
        case .list(let item): .list(change(item))
        case .optional(let item): .optional(change(item))
        case .type(let item): .type(change(item))
        case .map(let key, let value): .map(change(key), change(value))
        default: self
        }
    }

    var isDynOrError: Bool { self == .dyn || self == .error }

    /// Whether `null` may stand in its place.
    var takesNull: Bool {
        switch self {
        case .null, .object, .named, .optional, .duration, .timestamp: true
        default: false
        }
    }

    /// Whether its values are all of one size.
    var isScalar: Bool {
        switch self {
        case .bool, .double, .duration, .int, .timestamp, .uint: true
        case .optional(let inner): inner.isScalar
        default: false
        }
    }

    /// How messages write it. Objects are named after where they are below `root`.
    func text(root: String) -> String {
        switch self {
        case .dyn, .variable, .parameter: "dyn"
        case .error: "!error!"
        case .null: "null"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .duration: "duration"
        case .timestamp: "timestamp"
        case .list(let item): "list(\(item.text(root: root)))"
        case .map(let key, let value): "map(\(key.text(root: root)), \(value.text(root: root)))"
        case .optional(let item): "optional_type(\(item.text(root: root)))"
        case .type(let item): "type(\(item.text(root: root)))"
        case .object(let declaration):
            "selfType" + (declaration.path.hasPrefix(root) ? declaration.path.dropFirst(root.count) : "")
        case .named(let name): name
        }
    }
}

/// What is declared of a value: its type, and how large it may be. A tree that follows a schema; immutable.
package final class CELDeclaration: Sendable, Equatable {
    /// A member of an object.
    package struct Field: Sendable {
        /// What the member is called in documents. Expressions may have to call it otherwise.
        package var property: String
        package var declaration: CELDeclaration

        package init(property: String, declaration: CELDeclaration) {
            self.property = property
            self.declaration = declaration
        }
    }

    /// How items of a list are told apart.
    package enum ListKind: Sendable, Equatable {
        case atomic
        /// Each is there once; the order does not count.
        case set
        /// By these members of each item; the order does not count.
        case map([String])
    }

    /// Where in the tree it is: `.spec.ports.@idx`.
    package let path: String
    /// The most characters, bytes, items or members; zero where sizes are not asked for.
    package let maxElements: UInt64
    /// Members of an object, by the names that expressions call them by.
    package let fields: [String: Field]
    /// The items of a list, the values of a map.
    package let element: CELDeclaration?
    package let listKind: ListKind
    private let scalar: CELType?
    let isMap: Bool

    private init(
        path: String, maxElements: UInt64, fields: [String: Field] = [:], element: CELDeclaration? = nil,
        listKind: ListKind = .atomic, scalar: CELType? = nil, isMap: Bool = false
    ) {
        self.path = path
        self.maxElements = maxElements
        self.fields = fields
        self.element = element
        self.listKind = listKind
        self.scalar = scalar
        self.isMap = isMap
    }

    package static func scalar(_ type: CELType, maxElements: UInt64 = 0, at path: String) -> CELDeclaration {
        CELDeclaration(path: path, maxElements: maxElements, scalar: type)
    }

    package static func list(
        of element: CELDeclaration, kind: ListKind, maxElements: UInt64, at path: String
    ) -> CELDeclaration {
        CELDeclaration(path: path, maxElements: maxElements, element: element, listKind: kind)
    }

    /// A map from strings.
    package static func map(of element: CELDeclaration, maxElements: UInt64, at path: String) -> CELDeclaration {
        CELDeclaration(path: path, maxElements: maxElements, element: element, isMap: true)
    }

    package static func object(_ fields: [String: Field], at path: String) -> CELDeclaration {
        CELDeclaration(path: path, maxElements: 0, fields: fields)
    }

    package static func == (left: CELDeclaration, right: CELDeclaration) -> Bool { left === right }

    package var type: CELType {
        if let scalar { return scalar }
        guard let element else { return .object(self) }
        return isMap ? .map(.string, element.type) : .list(element.type)
    }

    /// The member an expression calls `name`. Words of the language may be written plainly behind a dot.
    func field(_ name: String) -> Field? {
        fields[name] ?? (CELParser.reserved.contains(name) ? fields["__\(name)__"] : nil)
    }
}
