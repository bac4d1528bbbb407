import Documents
import Glibc
import Testing

@testable import APIServer

/// Bodies as kubectl 1.33 sent them (`Tests/Corpus/protobuf`), and as no client would.
@Suite struct ProtobufTests {
    private static let repository = #filePath.split(separator: "/", omittingEmptySubsequences: false).prefix {
        $0 != "Tests"
    }.joined(separator: "/")

    private func decoded(_ name: String) throws -> Document {
        let path = "\(Self.repository)/Tests/Corpus/protobuf/\(name)"
        let file = try #require(fopen(path, "r"), "no \(path)")
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return try ProtobufDecoder.document(Array(buffer[..<count]))
    }

    @Test func aDeploymentIsReadWhole() throws {
        let found = try decoded("deployment")
        #expect(
            found.json == [
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": ["name": "web", "labels": ["app": "web"]],
                "spec": [
                    "replicas": 2, "selector": ["matchLabels": ["app": "web"]],
                    "template": [
                        "metadata": ["labels": ["app": "web"]],
                        "spec": [
                            "containers": [
                                [
                                    "name": "nginx", "image": "nginx:1", "command": ["/bin/serve", "-v"],
                                    "ports": [["containerPort": 80]],
                                ]
                            ]
                        ],
                    ],
                ],
            ])
    }

    /// Quantities, numbers or strings, maps of bytes, zeros that are written and zeros that are not, inline messages.
    @Test(
        arguments: [
            ("quota", ["spec"], ["hard": ["cpu": "1", "memory": "1Gi", "pods": "2"], "scopes": ["BestEffort"]]),
            ("pdb", ["spec"], ["minAvailable": "50%", "selector": ["matchLabels": ["app": "web"]]]),
            ("priorityclass", ["value"], 1000), ("priorityclass-zero", ["value"], 0),
            ("priorityclass-zero", ["globalDefault"], .null),
            ("configmap", ["binaryData"], ["bin": "/wAB"]), ("configmap", ["data"], ["a": "b"]),
            (
                "service", ["spec"],
                [
                    "type": "NodePort", "selector": ["app": "web"],
                    "ports": [
                        ["name": "5678-8080", "protocol": "TCP", "port": 5678, "targetPort": 8080, "nodePort": 30100]
                    ],
                ]
            ),
            (
                "ingress", ["spec", "defaultBackend"], ["service": ["name": "d", "port": ["name": "http"]]]
            ),
            (
                "cronjob", ["spec", "jobTemplate", "spec", "template", "spec"],
                [
                    "restartPolicy": "OnFailure",
                    "containers": [["name": "nightly", "image": "busybox", "command": ["date"]]],
                ]
            ),
            (
                "autoscale", ["spec"],
                [
                    "scaleTargetRef": ["kind": "Deployment", "name": "web", "apiVersion": "apps/v1"], "minReplicas": 1,
                    "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
                ]
            ),
            (
                "tokenrequest", ["spec"],
                [
                    "audiences": ["a"], "expirationSeconds": 600,
                    "boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "1234"],
                ]
            ),
            ("clusterrole", ["aggregationRule"], ["clusterRoleSelectors": [["matchLabels": ["a": "b"]]]]),
            ("delete", ["gracePeriodSeconds"], 0), ("eviction", ["apiVersion"], "v1"),
        ] as [(String, [String], JSON)])
    func aFieldIsReadAsItsTypeHasIt(_ name: String, _ path: [String], _ expected: JSON) throws {
        let found = try decoded(name).json[path: path] ?? .null
        #expect(found == expected)
    }

    private func body(apiVersion: String, kind: String, _ raw: [UInt8]) -> [UInt8] {
        let meta = field(1, Array(apiVersion.utf8)) + field(2, Array(kind.utf8))
        return [0x6B, 0x38, 0x73, 0] + field(1, meta) + field(2, raw)
    }

    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = bytes.count
        repeat {
            length.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
            rest >>= 7
        } while rest > 0
        return [number << 3 | 2] + length + bytes
    }

    /// JSONSchemaProps: a number, a schema or a flag, JSON within, and a schema within a schema.
    @Test func schemasOfResourceDefinitionsAreRead() throws {
        let tenth: [UInt8] = [9 << 3 | 1] + withUnsafeBytes(of: (0.5).bitPattern.littleEndian) { Array($0) }
        let anyOf = field(8, field(1, Array(#"{"a":1}"#.utf8)))
        let map = field(1, Array("m".utf8)) + field(2, [0xF2, 1, 2, 8, 1])
        let item = field(1, Array("s".utf8)) + field(2, tenth + anyOf)
        let schema = [0xEA, 1] + field(0, item).dropFirst() + [0xEA, 1] + field(0, map).dropFirst()
        let version = field(1, Array("v1".utf8)) + field(4, field(1, Array(schema)))
        let raw = field(2, field(7, version))
        let found = try ProtobufDecoder.document(
            body(apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", raw))
        let properties = found.spec["versions"]?.arrayValue?[0]["schema"]?["openAPIV3Schema"]?["properties"]
        #expect(
            properties == ["s": ["maximum": 0.5, "default": ["a": 1]], "m": ["additionalProperties": true]])
    }

    @Test func aLongListIsReadInLinearTime() throws {
        var raw: [UInt8] = []
        for _ in 0..<200_000 { raw += [3 << 3 | 2, 0] }
        let found = try ProtobufDecoder.document(body(apiVersion: "v1", kind: "ServiceAccount", raw))
        #expect(found["imagePullSecrets"]?.arrayValue?.count == 200_000)
    }

    @Test func whatHasNoMessageIsAnotherMediaType() {
        for (version, kind) in [("example.com/v1", "Widget"), ("v1", "Nothing"), ("", "")] {
            let bytes = body(apiVersion: version, kind: kind, [])
            #expect(throws: APIError.self) { try ProtobufDecoder.document(bytes) }
            do { _ = try ProtobufDecoder.document(bytes) } catch { #expect(error.code == 415) }
        }
    }

    /// Every kind with a `metadata` of its own that is served can be sent.
    @Test func everyStandardKindThatIsServedHasAMessage() throws {
        for definition in try BundledDefinitions.load().builtIn where definition.group != "gateway.networking.k8s.io" {
            for version in definition.versions {
                let kind = GroupVersionKind(group: definition.group, version: version.name, kind: definition.kind)
                let message = ProtobufSchema.bundled.message(apiVersion: kind.apiVersion, kind: kind.kind)
                #expect(message?.field(1)?.name == "metadata", "\(kind)")
            }
        }
    }

    @Test func theTableHasEachNumberAndNameOfAMessageOnce() {
        for message in ProtobufSchema.bundled.messages {
            #expect(Set(message.fields.map(\.number)).count == message.fields.count)
            #expect(Set(message.fields.map(\.name)).count == message.fields.count)
        }
    }
}
