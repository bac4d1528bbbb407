import APIServer
import Client
import Documents
import Seams
import Simulation
import Store
import Testing

/// Server-side apply through the whole pipeline: admission, defaults, status, revisions. What is expected was
/// recorded from a real API server (golden transcripts 06, 24 and 34).
@Suite struct ApplyTests {
    private static let widgets = GroupResource(group: "example.com", resource: "widgets")

    /// A control plane that knows widgets.
    private func plane() async throws -> ControlPlane {
        let plane = try ControlPlane(seed: 1, bundled: try BundledDefinitions.load())
        let definition = try YAMLReader.document(in: Array(Self.definition.utf8), file: "crd.yaml")
        _ = try await plane.client.create(Document(definition.json), options: WriteOptions(fieldManager: "test"))
        return plane
    }

    private func widget(_ body: String, name: String = "alpha") throws -> Document {
        let text = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: \(name), namespace: default}\n" + body
        return Document(try YAMLReader.document(in: Array(text.utf8), file: "widget.yaml").json)
    }

    private func options(_ manager: String, force: Bool = false, dryRun: Bool = false) -> WriteOptions {
        var options = WriteOptions(fieldManager: manager)
        options.force = force
        options.dryRun = dryRun
        return options
    }

    private func owners(_ document: Document) -> [String] {
        (document.json["metadata"]?["managedFields"]?.arrayValue ?? []).map { entry in
            let part = entry["subresource"]?.stringValue.map { " " + $0 } ?? ""
            return "\(entry["manager"]?.stringValue ?? "") \(entry["operation"]?.stringValue ?? "")\(part) "
                + (entry["fieldsV1"]?.text() ?? "")
        }
    }

    @Test func createsAndDoesNotOwnDefaults() async throws {
        let client = try await plane().client
        let made = try await client.apply(try widget("spec: {color: Red}"), subresource: nil, options: options("m1"))
        #expect(made.generation == 1)
        #expect(made.spec == ["color": "Red", "size": 3])
        #expect(owners(made) == [#"m1 Apply {"f:spec":{"f:color":{}}}"#])
    }

    @Test func theSameAgainIsNoWrite() async throws {
        let plane = try await plane()
        let document = try widget("spec: {color: Red, tags: [a, b], ports: [{name: in, port: 80}]}")
        let first = try await plane.client.apply(document, subresource: nil, options: options("m1"))
        let revision = plane.store.sequencedRevision
        plane.clock.advance(by: .seconds(60))
        let second = try await plane.client.apply(document, subresource: nil, options: options("m1"))
        #expect(second == first)
        #expect(plane.store.sequencedRevision == revision)
    }

    @Test func aDryRunStoresNothing() async throws {
        let plane = try await plane()
        let revision = plane.store.sequencedRevision
        let made = try await plane.client.apply(
            try widget("spec: {color: Red}"), subresource: nil, options: options("m1", dryRun: true))
        #expect(made.spec == ["color": "Red", "size": 3])
        #expect(plane.store.sequencedRevision == revision)
    }

    @Test func conflictsNameTheOwnerAndForceTakesOver() async throws {
        let client = try await plane().client
        _ = try await client.apply(try widget("spec: {color: Red, size: 5}"), subresource: nil, options: options("m1"))
        let error = await #expect(throws: APIError.self) {
            try await client.apply(try widget("spec: {color: Blue, size: 6}"), subresource: nil, options: options("m2"))
        }
        #expect(error?.message == "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.color\n- .spec.size")
        let taken = try await client.apply(
            try widget("spec: {color: Blue}"), subresource: nil, options: options("m2", force: true))
        #expect(taken.generation == 2)
        #expect(owners(taken) == [#"m1 Apply {"f:spec":{"f:size":{}}}"#, #"m2 Apply {"f:spec":{"f:color":{}}}"#])
    }

    @Test func aRequiredFieldCannotBeWithdrawn() async throws {
        let client = try await plane().client
        _ = try await client.apply(try widget("spec: {color: Red, size: 5}"), subresource: nil, options: options("m1"))
        let error = await #expect(throws: APIError.self) {
            try await client.apply(try widget("spec: {size: 5}"), subresource: nil, options: options("m1"))
        }
        #expect(error?.reason == .invalid)
        #expect(error?.causes.first?.field == "spec.color")
    }

    @Test func aWithdrawnFieldFallsBackToItsDefault() async throws {
        let client = try await plane().client
        _ = try await client.apply(try widget("spec: {color: Red, size: 5}"), subresource: nil, options: options("m1"))
        let after = try await client.apply(try widget("spec: {color: Red}"), subresource: nil, options: options("m1"))
        #expect(after.spec == ["color": "Red", "size": 3])
        #expect(owners(after) == [#"m1 Apply {"f:spec":{"f:color":{}}}"#])
    }

    @Test func statusIsAppliedThroughItsSubresource() async throws {
        let client = try await plane().client
        let made = try await client.apply(
            try widget("spec: {color: Red}\nstatus: {phase: Bad}"), subresource: nil, options: options("m1"))
        #expect(made["status"] == nil)
        let after = try await client.apply(
            try widget("spec: {color: Blue}\nstatus: {phase: Good, replicas: 2}"), subresource: .status,
            options: options("m3"))
        #expect(after.spec["color"] == "Red")
        #expect(after.status == ["phase": "Good", "replicas": 2])
        #expect(after.generation == 1)
        #expect(
            owners(after) == [
                #"m1 Apply {"f:spec":{"f:color":{}}}"#, #"m3 Apply status {"f:status":{"f:phase":{},"f:replicas":{}}}"#,
            ])
        let again = try await client.apply(
            try widget("status: {phase: Good, replicas: 2}"), subresource: .status, options: options("m3"))
        #expect(again == after)
    }

    @Test func mainWritesKeepTheStatusAndItsOwners() async throws {
        let client = try await plane().client
        _ = try await client.apply(try widget("spec: {color: Red}"), subresource: nil, options: options("m1"))
        let before = try await client.apply(
            try widget("status: {phase: Good}"), subresource: .status, options: options("m3"))
        let key = ObjectKey(Self.widgets, namespace: "default", name: "alpha")
        let after = try await client.patch(
            key, .merge(["spec": ["size": 8], "status": ["phase": "Bad"]]), subresource: nil, options: options("p"))
        #expect(after.status == ["phase": "Good"])
        #expect(owners(after).contains(#"m3 Apply status {"f:status":{"f:phase":{}}}"#))
        #expect(owners(after).contains(#"p Update {"f:spec":{"f:size":{}}}"#))
        let none = try await client.patch(
            key, .merge(["status": ["phase": "Bad"]]), subresource: nil, options: options("p"))
        #expect(none.resourceVersion == after.resourceVersion)
        #expect(before.resourceVersion != after.resourceVersion)
    }

    @Test func aPinnedRevisionMustBeTheLatest() async throws {
        let client = try await plane().client
        let made = try await client.apply(try widget("spec: {color: Red}"), subresource: nil, options: options("m1"))
        var pinned = try widget("spec: {color: Blue}")
        pinned.metadata["resourceVersion"] = "1"
        let error = await #expect(throws: APIError.self) {
            try await client.apply(pinned, subresource: nil, options: options("m1"))
        }
        #expect(error?.reason == .conflict)
        pinned.metadata["resourceVersion"] = .string(made.resourceVersion)
        let after = try await client.apply(pinned, subresource: nil, options: options("m1"))
        #expect(after.spec["color"] == "Blue")
        #expect(owners(after) == [#"m1 Apply {"f:spec":{"f:color":{}}}"#])
    }

    @Test func fromClientSideApplyAsKubectlDoesIt() async throws {
        let client = try await plane().client
        var made = try widget("spec: {color: Red, size: 5}", name: "moved")
        let applied = made.json.text() + "\n"
        made.metadata["annotations"] = ["kubectl.kubernetes.io/last-applied-configuration": .string(applied)]
        _ = try await client.create(made, options: options("kubectl-client-side-apply"))
        let key = ObjectKey(Self.widgets, namespace: "default", name: "moved")
        let next = try widget("spec: {color: Blue}", name: "moved")
        let first = try await client.apply(next, subresource: nil, options: options("kubectl"))
        // kubectl then hands the fields of its client-side manager over, by a JSON patch, and applies again.
        var entries = first.json["metadata"]?["managedFields"]?.arrayValue ?? []
        entries.removeAll { $0["manager"] == "kubectl-client-side-apply" }
        let position = try #require(entries.firstIndex { $0["manager"] == "kubectl" })
        entries[position]["fieldsV1"] = ["f:spec": ["f:color": [:], "f:size": [:]]]
        _ = try await client.patch(
            key,
            .json([
                ["op": "replace", "path": "/metadata/managedFields", "value": .array(entries)],
                ["op": "replace", "path": "/metadata/resourceVersion", "value": .string(first.resourceVersion)],
            ]), subresource: nil, options: options("kubectl"))
        let last = try await client.apply(next, subresource: nil, options: options("kubectl"))
        #expect(last.spec == ["color": "Blue", "size": 3])
        #expect(owners(last).contains(#"kubectl Apply {"f:spec":{"f:color":{}}}"#))
        let kept = last.json["metadata"]?["annotations"]?["kubectl.kubernetes.io/last-applied-configuration"]?
            .stringValue
        #expect(kept?.contains(#""color":"Blue""#) == true)
    }

    @Test func builtInKindsMergeTheirListsByKey() async throws {
        let client = try await plane().client
        func service(_ ports: String) throws -> Document {
            let text =
                "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\nspec: {ports: [\(ports)]}"
            return Document(try YAMLReader.document(in: Array(text.utf8), file: "service.yaml").json)
        }
        let made = try await client.apply(
            try service("{name: http, port: 80}"), subresource: nil, options: options("a"))
        _ = try await client.apply(try service("{name: https, port: 443}"), subresource: nil, options: options("b"))
        let after = try await client.apply(
            try service("{name: http, port: 80}"), subresource: nil, options: options("a"))
        #expect(after.spec["ports"]?.arrayValue?.map { $0["port"] } == [80, 443])
        #expect(after.spec["clusterIP"] == made.spec["clusterIP"])
        let again = try await client.apply(
            try service("{name: http, port: 80}"), subresource: nil, options: options("a"))
        #expect(again.resourceVersion == after.resourceVersion)
    }

    private static let definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: widgets.example.com
        spec:
          group: example.com
          scope: Namespaced
          names:
            kind: Widget
            listKind: WidgetList
            plural: widgets
            singular: widget
            shortNames: [wg]
            categories: [all]
          versions:
          - name: v1
            served: true
            storage: true
            subresources:
              status: {}
              scale:
                specReplicasPath: .spec.replicas
                statusReplicasPath: .status.replicas
                labelSelectorPath: .status.selector
            additionalPrinterColumns:
            - name: Color
              type: string
              jsonPath: .spec.color
            - name: Made
              type: date
              description: When the widget came to be
              jsonPath: .metadata.creationTimestamp
            - name: Size
              type: integer
              priority: 1
              jsonPath: .spec.size
            schema:
              openAPIV3Schema:
                type: object
                description: A Widget is a thing with a color.
                required: [spec]
                properties:
                  spec:
                    type: object
                    description: What the widget should be.
                    required: [color]
                    x-kubernetes-validations:
                    - rule: "self.size <= 50 || self.color == 'Blue'"
                      message: only Blue widgets may be larger than 50
                    properties:
                      color:
                        type: string
                        description: The paint on the outside.
                        enum: [Red, Green, Blue]
                      size:
                        type: integer
                        description: How big it is.
                        minimum: 1
                        maximum: 100
                        default: 3
                      replicas:
                        type: integer
                        format: int32
                        minimum: 0
                      serial:
                        type: string
                        maxLength: 12
                        pattern: '^[A-Z]{2}-[0-9]+$'
                        x-kubernetes-validations:
                        - rule: "self == oldSelf"
                          message: serial cannot change
                      limit:
                        x-kubernetes-int-or-string: true
                        description: A number or a percentage.
                      frame:
                        type: object
                        description: The parts that hold it together.
                        properties:
                          material:
                            type: string
                          lid:
                            type: object
                            properties:
                              hinged:
                                type: boolean
                      ports:
                        type: array
                        description: Openings, one for each name.
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        items:
                          type: object
                          required: [name, port]
                          properties:
                            name:
                              type: string
                            port:
                              type: integer
                              minimum: 1
                              maximum: 65535
                      tags:
                        type: array
                        x-kubernetes-list-type: set
                        items:
                          type: string
                  status:
                    type: object
                    description: What was last seen of the widget.
                    properties:
                      phase:
                        type: string
                      replicas:
                        type: integer
                        format: int32
                      selector:
                        type: string
                      observedGeneration:
                        type: integer
                        format: int64
                      conditions:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [type]
                        items:
                          type: object
                          required: [type, status]
                          properties:
                            type:
                              type: string
                            status:
                              type: string
                              enum: ["True", "False", Unknown]
                            reason:
                              type: string
                            message:
                              type: string
        """
}
