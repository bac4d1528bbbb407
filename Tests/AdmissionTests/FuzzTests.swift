import Admission
import Documents
import Testing

/// Whatever is thrown at it, admission answers. The seed is fixed, so that a failure can be run again.
@Suite struct FuzzTests {
    struct Generator {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }

        /// A document that follows the schema here and there.
        mutating func value(_ schema: Schema?, depth: Int) -> JSON {
            if depth > 10 || next(12) == 0 { return wild(depth: depth) }
            guard let schema else { return wild(depth: depth) }
            if !schema.enumeration.isEmpty, next(3) > 0 { return schema.enumeration[next(schema.enumeration.count)] }
            switch schema.type {
            case .object:
                var object = JSONObject()
                for name in schema.properties.keys.sorted() where next(3) > 0 || schema.required.contains(name) {
                    object[name] = value(schema.properties[name], depth: depth + 1)
                }
                if next(8) == 0 { object[text()] = wild(depth: depth + 1) }
                return .object(object)
            case .array: return .array((0..<next(4)).map { _ in value(schema.items, depth: depth + 1) })
            case .string: return .string(text())
            case .integer: return .integer([0, 1, 50, 100, 101, -1, .max, .min][next(8)])
            case .number: return .number(Double(next(1000)) / 7)
            case .boolean: return .bool(next(2) == 0)
            case nil: return next(2) == 0 ? .integer(Int64(next(70000))) : .string(text())
            }
        }

        mutating func wild(depth: Int) -> JSON {
            switch next(depth > 10 ? 6 : 8) {
            case 0: .null
            case 1: .bool(true)
            case 2: .integer(Int64(bitPattern: state))
            case 3: .number(1e300)
            case 4, 5: .string(text())
            case 6: .array((0..<next(3)).map { _ in wild(depth: depth + 1) })
            default: .object(JSONObject((0..<next(3)).map { _ in (text(), wild(depth: depth + 1)) }))
            }
        }

        mutating func text() -> String {
            let texts = [
                "web", "api", "http", "", "a.b", "*.example.com", "5m", "1h30m", "99999h", "0s", "10Gi", "é",
                "e\u{301}", "\u{0}", "..", "/",
                "/a/../b", "10.0.0.0/8", "::/0", ":::", "1:2:3:4:5:6:7:8", "v1", "2026-01-01T00:00:00Z",
                "2026-13-01T99:00:00+9",
                "ssh-ed25519 AAAA x", "0.99", "1e999", "-", "spec", "name", "metadata",
                String(repeating: "x", count: 300),
            ]
            return texts[next(texts.count)]
        }
    }

    @Test func admissionNeverTraps() {
        var generator = Generator(state: 20_261_124)
        var admitted = 0
        for round in 0..<4000 {
            let definition = TestKinds.definitions[round % TestKinds.definitions.count]
            let version = definition.versions[0]
            func document() -> Document {
                var json = generator.value(version.schema, depth: 0)
                if generator.next(10) > 0 {
                    json["apiVersion"] = .string(
                        GroupVersionKind(group: definition.group, version: version.name, kind: "").apiVersion)
                    json["kind"] = .string(definition.kind)
                    if generator.next(10) > 0 {
                        json["metadata"] = ["name": "a", "namespace": "demo"]
                    } else {
                        json["metadata"] = generator.value(MetadataSchema.schema, depth: 0)
                    }
                }
                return Document(json)
            }
            let old = generator.next(2) == 0 ? document() : nil
            let request = AdmissionRequest(
                definition: definition, version: version.name, operation: old == nil ? .create : .update, old: old,
                new: document(),
                fieldValidation: generator.next(4) == 0 ? .strict : .ignore)
            if let result = try? admit(request) {
                admitted += 1
                // What was admitted is admitted again, unchanged: defaulting and pruning come to rest.
                var again = request
                again.new = result.document
                again.old = result.document
                again.operation = .update
                #expect((try? admit(again))?.document == result.document, "\(definition.kind)")
            }
        }
        #expect(admitted > 20, "the generator makes documents that are good enough")
    }
}
