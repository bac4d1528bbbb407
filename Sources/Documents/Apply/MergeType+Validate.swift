extension MergeType {
    /// Everything that keeps `config` from being merged: undeclared fields, types, elements that have no name or the
    /// name of another.
    func errors(in config: JSON) -> [MergeError] {
        var errors: [MergeError] = []
        validate(config, at: [], &errors)
        return errors
    }

    private func validate(_ value: JSON, at path: FieldPath, _ errors: inout [MergeError]) {
        guard !value.isNull, let schema else { return }
        if let expected = expectation(of: value, schema) {
            errors.append(MergeError("expected \(expected), got \(value.typeName)", at: path))
            return
        }
        switch value {
        case .object(let object):
            for member in object.members {
                let memberPath = path + [.field(member.key)]
                if let (type, _) = self.member(member.key) {
                    type.validate(member.value, at: memberPath, &errors)
                } else {
                    errors.append(MergeError("field not declared in schema", at: memberPath))
                }
            }
        case .array(let items): validate(items, shape(of: value) ?? .atomicList, at: path, &errors)
        default: break
        }
    }

    private func validate(_ items: [JSON], _ shape: Shape, at path: FieldPath, _ errors: inout [MergeError]) {
        var seen: Set<PathElement> = []
        for (position, item) in items.enumerated() {
            if shape.isAtomic {
                element.validate(item, at: path + [.index(position)], &errors)
                continue
            }
            switch pathElement(of: item, in: shape) {
            case .failure(let error):
                errors.append(MergeError("element \(position): \(error.message)", at: path))
                return
            case .success(let name):
                if !seen.insert(name).inserted {
                    errors.append(MergeError("duplicate entries for key \(name)", at: path))
                }
                element.validate(item, at: path + [name], &errors)
            }
        }
    }

    /// What the schema wants `value` to be; `nil` where it is that.
    private func expectation(of value: JSON, _ schema: Schema) -> String? {
        if schema.isIntOrString {
            switch value {
            case .integer, .string, .number: return nil
            default: return "any scalar"
            }
        }
        switch (schema.type, value) {
        case (nil, _), (.object?, .object), (.array?, .array), (.string?, .string), (.boolean?, .bool),
            (.integer?, .integer), (.integer?, .number), (.number?, .integer), (.number?, .number):
            return nil
        case (.object?, _): return "map"
        case (.array?, _): return "list"
        case (.string?, _): return "string"
        case (.boolean?, _): return "boolean"
        case (.integer?, _), (.number?, _): return "numeric (int or float)"
        }
    }
}
