/// Builds JSON values from libyaml's events, document after document, and notes where each field stands.
///
/// Bounded: nesting, and what aliases and merge keys may multiply. A key that stands twice in a mapping is an error
/// here, before a server could have dropped one of the two.
struct YAMLComposer: ~Copyable {
    private struct Anchor {
        let value: JSON
        /// Bytes of the value's text, about.
        let weight: Int
        let depth: Int
    }

    private var events: YAMLEvents
    private let file: String
    private(set) var positions = YAMLPositions()
    private var anchors: [String: Anchor] = [:]
    private var openAnchors: Set<String> = []
    private var depth = 0
    /// Weight of what was composed so far in this document, and of that, what aliases and merges brought.
    private var weight = 0
    private var expanded = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, file: String) throws(YAMLError) {
        events = try YAMLEvents(bytes, file: file)
        self.file = file
    }

    /// The next document and the number of its field in `positions`; `nil` at the end of the stream.
    mutating func nextDocument() throws(YAMLError) -> (value: JSON, root: Int)? {
        while true {
            switch try events.next().event {
            case .streamEnd: return nil
            case .documentStart:
                (anchors, openAnchors, weight, expanded) = ([:], [], 0, 0)
                let (event, position) = try events.next()
                let root = positions.add(.index(0), below: -1, position)
                return (try node(event, position, root), root)
            default: continue
            }
        }
    }

    private mutating func node(
        _ event: YAMLEvents.Event, _ position: YAMLEvents.Position, _ field: Int
    ) throws(YAMLError) -> JSON {
        switch event {
        case .scalar(let scalar):
            guard let value = try resolve(scalar, position).json else {
                throw error(position, "expected a number that JSON has, found \(scalar.text)")
            }
            let own = scalar.text.utf8.count + 2
            weight += own
            if let anchor = scalar.anchor { anchors[anchor] = Anchor(value: value, weight: own, depth: 0) }
            return value
        case .alias(let name): return try expand(name, position)
        case .sequenceStart(let anchor):
            return try collection(anchor, position) { (composer) throws(YAMLError) in try composer.sequence(field) }
        case .mappingStart(let anchor):
            return try collection(anchor, position) { (composer) throws(YAMLError) in try composer.mapping(field) }
        default: throw error(position, "expected a value")
        }
    }

    private mutating func collection(
        _ anchor: String?, _ position: YAMLEvents.Position,
        _ compose: (inout YAMLComposer) throws(YAMLError) -> JSON
    ) throws(YAMLError) -> JSON {
        depth += 1
        defer { depth -= 1 }
        if depth > DocumentLimits.nestingDepth {
            throw error(position, "expected at most \(DocumentLimits.nestingDepth) levels of nesting")
        }
        let before = weight
        weight += 2
        guard let anchor else { return try compose(&self) }
        openAnchors.insert(anchor)
        let value = try compose(&self)
        openAnchors.remove(anchor)
        anchors[anchor] = Anchor(value: value, weight: weight - before, depth: Self.levels(value))
        return value
    }

    private mutating func sequence(_ field: Int) throws(YAMLError) -> JSON {
        var elements: [JSON] = []
        while true {
            let (event, position) = try events.next()
            if case .sequenceEnd = event { break }
            let child = positions.add(.index(elements.count), below: field, position)
            elements.append(try node(event, position, child))
        }
        return .array(elements)
    }

    private mutating func mapping(_ field: Int) throws(YAMLError) -> JSON {
        var object = JSONObject()
        var merged: Set<String> = []
        while true {
            let (event, position) = try events.next()
            if case .mappingEnd = event { break }
            if case .scalar(let scalar) = event, Self.isMerge(scalar) {
                try merge(into: &object, &merged, field)
                continue
            }
            let key = try key(event, position)
            let isNew = !object.contains(key) || merged.remove(key) != nil
            if !isNew {
                let first = positions.child(.key(key), of: field).map {
                    " (first on line \(positions.position(of: $0).line))"
                }
                throw error(position, "expected each key once, found \"\(key)\" again\(first ?? "")")
            }
            let child = positions.add(.key(key), below: field, position)
            let (valueEvent, valuePosition) = try events.next()
            object[key] = try node(valueEvent, valuePosition, child)
        }
        return .object(object)
    }

    private mutating func key(_ event: YAMLEvents.Event, _ position: YAMLEvents.Position) throws(YAMLError) -> String {
        let value: JSON
        switch event {
        case .scalar(let scalar):
            let resolved = try resolve(scalar, position)
            guard let key = resolved.key else {
                throw error(position, "expected a text as key, found \(scalar.text.isEmpty ? "nothing" : scalar.text)")
            }
            weight += key.utf8.count + 2
            if let anchor = scalar.anchor {
                anchors[anchor] = Anchor(value: resolved.json ?? .null, weight: key.utf8.count + 2, depth: 0)
            }
            return key
        case .alias(let name): value = try expand(name, position)
        default: throw error(position, "expected a text as key, found a list or a mapping")
        }
        switch value {
        case .string(let text): return text
        case .integer(let number): return String(number)
        case .bool(let flag): return flag ? "true" : "false"
        default: throw error(position, "expected a text as key, found \(value.typeName)")
        }
    }

    /// `<<: *defaults` or `<<: [*a, *b]`: members of the mapping named, of which the first wins in a list. A key that
    /// follows overrides them, one that came before is overridden, as in kubectl.
    private mutating func merge(
        into object: inout JSONObject, _ merged: inout Set<String>, _ field: Int
    ) throws(YAMLError) {
        let (event, valuePosition) = try events.next()
        // The fields of an inline mapping are noted below a field of their own, which no path leads to.
        let value = try node(event, valuePosition, positions.add(.index(-1), below: field, valuePosition))
        for source in value.arrayValue?.reversed() ?? [value] {
            guard let members = source.objectValue?.members else {
                throw error(
                    valuePosition, "expected a mapping or a list of mappings behind <<, found \(source.typeName)")
            }
            for member in members {
                try count(member.key.utf8.count + 2, valuePosition)
                if !object.contains(member.key) { merged.insert(member.key) }
                object[member.key] = member.value
            }
        }
    }

    private static func isMerge(_ scalar: YAMLEvents.Scalar) -> Bool {
        scalar.text == "<<" && (scalar.isPlain || scalar.tag == "tag:yaml.org,2002:merge")
    }

    private mutating func expand(_ name: String, _ position: YAMLEvents.Position) throws(YAMLError) -> JSON {
        if openAnchors.contains(name) { throw error(position, "expected no alias inside its own anchor &\(name)") }
        guard let anchor = anchors[name] else { throw error(position, "expected an anchor &\(name) before its alias") }
        if depth + anchor.depth > DocumentLimits.nestingDepth {
            throw error(position, "expected at most \(DocumentLimits.nestingDepth) levels of nesting")
        }
        try count(anchor.weight, position)
        weight += anchor.weight
        return anchor.value
    }

    private mutating func count(_ amount: Int, _ position: YAMLEvents.Position) throws(YAMLError) {
        expanded += amount
        if expanded > DocumentLimits.documentBytes {
            throw error(position, "expected aliases to stand for at most \(DocumentLimits.documentBytes) bytes in all")
        }
    }

    private func resolve(_ scalar: YAMLEvents.Scalar, _ position: YAMLEvents.Position) throws(YAMLError) -> YAMLScalar {
        guard let tag = scalar.tag else {
            return scalar.isPlain ? YAMLScalar(resolving: scalar.text) : .string(scalar.text)
        }
        let prefix = "tag:yaml.org,2002:"
        let name = tag.hasPrefix(prefix) ? tag.dropFirst(prefix.count) : ""
        switch name {
        case "int", "float", "bool", "null":
            let value = YAMLScalar(resolving: scalar.text)
            if value.tagName == name { return value }
            if name == "float", case .integer(let number) = value { return .float(Double(number)) }
            throw error(position, "expected a value that is !!\(name), found \(scalar.text)")
        case "binary":
            guard let decoded = Base64.decode(scalar.text), let text = String(validating: decoded, as: UTF8.self) else {
                throw error(position, "expected base64 of UTF-8 text behind !!binary")
            }
            return .string(text)
        default: return .string(scalar.text)
        }
    }

    private func error(_ position: YAMLEvents.Position, _ message: String) -> YAMLError {
        YAMLError(file: file, line: position.line, column: position.column, message: message)
    }

    /// How many levels of arrays and objects `value` has.
    private static func levels(_ value: JSON) -> Int {
        switch value {
        case .array(let elements): 1 + (elements.lazy.map(levels).max() ?? 0)
        case .object(let object): 1 + (object.members.lazy.map { levels($0.value) }.max() ?? 0)
        default: 0
        }
    }
}
