import APIServer
import Documents
import Seams
import Simulation
import Store

/// The API pipeline over a store in memory, for tests of one verb after the other.
struct TestAPI {
    let pipeline: APIPipeline
    let clock = SimulatedClock()
    var options = WriteRequest(fieldManager: "test")

    init() throws {
        let random = SeededRandom(seed: 7)
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        let store = try Keyspace.open(
            directory: "/data", fileSystem: CrashingDisk(random: random), clock: clock, keys: .ephemeral(),
            configuration: configuration)
        pipeline = try APIPipeline(store: store, clock: clock, random: random, bundled: try BundledDefinitions.load())
    }

    static let configMaps = GroupResource(group: "", resource: "configmaps")
    static let namespaces = GroupResource(group: "", resource: "namespaces")
    static let services = GroupResource(group: "", resource: "services")
    static let secrets = GroupResource(group: "", resource: "secrets")
    static let pods = GroupResource(group: "", resource: "pods")

    func resource(_ name: GroupResource) throws -> ServedResource {
        guard let resource = pipeline.catalogue.storage(name) else { throw APIError.badRequest("no \(name)") }
        return resource
    }

    @discardableResult
    func create(_ name: GroupResource, _ json: JSON, namespace: String = "default") throws -> Document {
        let resource = try resource(name)
        return try pipeline.create(resource, namespace: resource.isNamespaced ? namespace : "", Document(json), options)
            .document
    }

    func configMap(_ name: String, owners: [Document] = [], finalizers: [String] = [], namespace: String = "default")
        throws -> Document
    {
        var metadata: JSONObject = ["name": .string(name)]
        if !owners.isEmpty {
            metadata["ownerReferences"] = .array(
                owners.map { owner in
                    var reference = OwnerReference(controller: owner)
                    reference.isController = owners.count == 1
                    return reference.json
                })
        }
        if !finalizers.isEmpty { metadata["finalizers"] = .array(finalizers.map(JSON.string)) }
        return try create(
            Self.configMaps,
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": .object(metadata), "data": ["a": "1"]],
            namespace: namespace)
    }

    func key(_ name: GroupResource, _ document: String, namespace: String = "default") throws -> ObjectKey {
        try resource(name).key(namespace: namespace, name: document)
    }

    func get(_ name: GroupResource, _ document: String, namespace: String = "default") throws -> Document {
        let entry = try pipeline.get(try key(name, document, namespace: namespace), .sequenced)
        return Document(try JSONParser.parse(try entry.value.array))
    }

    func exists(_ name: GroupResource, _ document: String, namespace: String = "default") throws -> Bool {
        pipeline.store.snapshot(.sequenced).get(StoreKey(try key(name, document, namespace: namespace))) != nil
    }

    @discardableResult
    func delete(
        _ name: GroupResource, _ document: String, namespace: String = "default",
        _ change: (inout DeleteRequest) -> Void = { _ in }
    ) throws -> WriteAnswer {
        var request = DeleteRequest()
        change(&request)
        let answer = try pipeline.delete(try resource(name), try key(name, document, namespace: namespace), request)
        settle()
        return answer
    }

    @discardableResult
    func patch(_ name: GroupResource, _ document: String, _ patch: JSON, namespace: String = "default") throws
        -> WriteAnswer
    {
        let answer = try pipeline.patch(
            try resource(name), try key(name, document, namespace: namespace), .merge(patch), options, subresource: nil)
        settle()
        return answer
    }

    func settle() { while pipeline.tidy(limit: 100) {} }

    /// The reason a request was refused with; `nil` where it was not.
    func refusal(_ body: () throws -> Void) -> APIError? {
        do { try body() } catch { return error as? APIError }
        return nil
    }
}
