package import Admission
package import Documents
package import Seams
package import Store
internal import Synchronization

/// How an API pipeline behaves; the composition root sets it.
package struct APIConfiguration: Sendable {
    /// Where Services get their addresses: a range in CIDR form.
    package var serviceRange = "127.96.0.0/16"
    /// `host:port` as discovery tells clients.
    package var serverAddress = "127.0.0.1:6443"
    /// What is sealed on disk besides Secrets. A change takes effect with the next write of a document.
    package var sealedResources: Set<GroupResource> = []
    /// Namespaces that are there from the start.
    package var namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"]

    package init() {}
}

/// The API behind every door: each verb of Kubernetes over the store, from admission to commit. Synchronous, in memory,
/// with no clock and no randomness of its own, so that a simulation can run it in one thread.
///
/// Reads take the visibility they may see. Writes are sequenced when they return; who answers a client waits until the
/// answer's revision is durable. Safe to call from any thread; no lock is held while a document is judged.
package final class APIPipeline: Sendable {
    package let store: Keyspace
    package let clock: any Clock
    let random: any RandomSource
    let configuration: APIConfiguration
    private let builtIn: [ResourceDefinition]
    private let catalogues: Mutex<CatalogueDocuments>
    private let serverAddress: Mutex<String>
    /// The certificate (PEM) by which programs know the server, once there is one.
    let authority = Mutex<String?>(nil)
    /// What is known beyond single documents. Held during a commit, so that it follows the order of revisions.
    let cluster: Mutex<ClusterState>

    /// Reads what the store holds and adds what a new cluster needs: our resource definitions and the first namespaces.
    package init(
        store: Keyspace, clock: any Clock, random: any RandomSource, bundled: BundledDefinitions,
        configuration: APIConfiguration = APIConfiguration()
    ) throws(APIError) {
        self.store = store
        self.clock = clock
        self.random = random
        self.configuration = configuration
        builtIn = bundled.builtIn
        guard let addresses = ServiceAddresses(range: configuration.serviceRange) else {
            throw .badRequest("expected an IPv4 range such as 127.96.0.0/16, found \"\(configuration.serviceRange)\"")
        }
        cluster = Mutex(ClusterState(addresses: addresses))
        serverAddress = Mutex(configuration.serverAddress)
        let first = ResourceCatalogue(definitions: bundled.builtIn, number: 0)
        catalogues = Mutex(CatalogueDocuments(catalogue: first, serverAddress: configuration.serverAddress))
        refreshCatalogue()
        try recover()
        try install(bundled)
    }

    /// What the server serves now.
    package var catalogue: ResourceCatalogue { documents.catalogue }

    /// Tells clients where the server is, once it knows: the port may have been picked for it.
    package func setServerAddress(_ address: String) {
        serverAddress.withLock { $0 = address }
        refreshCatalogue()
    }

    /// Discovery and OpenAPI of what the server serves now.
    package var documents: CatalogueDocuments { catalogues.withLock { $0 } }

    /// Builds the catalogue anew from the built-in kinds and the stored CustomResourceDefinitions.
    func refreshCatalogue() {
        let address = serverAddress.withLock { $0 }
        catalogues.withLock { current in
            var definitions = builtIn
            let taken = Set(builtIn.map(\.groupResource))
            for entry in store.snapshot(.sequenced).list(prefix: StoreKey.prefix(WellKnown.customResourceDefinitions)) {
                // What cannot be read now is not gone: the catalogue stays as it is.
                guard let bytes = try? Self.bytes(entry) else { return }
                guard let json = try? JSONParser.parse(bytes) else { continue }  // we encoded it
                let document = Document(json)
                guard var definition = ResourceDefinition(customResourceDefinition: document),
                    CustomResources.isEstablished(document), !taken.contains(definition.groupResource)
                else { continue }
                // What the bundled definitions may say of themselves is not for users to say.
                definition.isBuiltIn = false
                definition.storedAs = nil
                definition.verbs = ResourceDefinition.allVerbs
                definitions.append(definition)
            }
            let next = ResourceCatalogue(definitions: definitions, number: current.catalogue.number + 1)
            current = CatalogueDocuments(catalogue: next, serverAddress: address)
        }
    }

    /// Fills what is known beyond single documents from every stored document.
    private func recover() throws(APIError) {
        let snapshot = store.snapshot(.sequenced)
        for entry in snapshot.list(prefix: []) {
            let document = try Self.decode(entry)
            cluster.withLock { $0.record(key: entry.key.objectKey, old: nil, new: document, isRecovery: true) }
        }
        cluster.withLock { $0.examineAll() }
    }

    private func install(_ bundled: BundledDefinitions) throws(APIError) {
        guard let definitions = catalogue.storage(WellKnown.customResourceDefinitions),
            let namespaces = catalogue.storage(WellKnown.namespaces)
        else {
            throw APIError(
                code: 500, reason: .internalError,
                message: "the bundled kinds lack Namespace or CustomResourceDefinition")
        }
        let options = WriteRequest(fieldManager: "espalier")
        for namespace in configuration.namespaces {
            let key = namespaces.key(namespace: "", name: namespace)
            if store.snapshot(.sequenced).get(StoreKey(key)) != nil { continue }
            let document = Document(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace)]])
            _ = try create(definitions: namespaces, document, options)
        }
        for document in bundled.own { try install(document, definitions, options) }
        guard let classes = catalogue.storage(WellKnown.storageClasses) else { return }
        let local = Document(LocalStorage.storageClass)
        if store.snapshot(.sequenced).get(StoreKey(classes.key(namespace: "", name: local.name))) == nil {
            _ = try create(definitions: classes, local, options)
        }
    }

    /// Stores one of our definitions, or brings the stored one to what this binary serves.
    private func install(_ document: Document, _ resource: ServedResource, _ options: WriteRequest) throws(APIError) {
        let key = resource.key(namespace: "", name: document.name)
        guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else {
            _ = try create(definitions: resource, document, options)
            return
        }
        let stored = try Self.decode(entry)
        if stored.spec == CustomResources.defaulted(document).spec { return }
        var changed = stored
        changed["spec"] = document.spec
        _ = try update(resource, key, changed, options, subresource: nil)
    }

    private func create(
        definitions resource: ServedResource, _ document: Document, _ options: WriteRequest
    ) throws(APIError) -> WriteAnswer {
        try create(resource, namespace: "", document, options)
    }

    // MARK: Documents and bytes

    /// What is stored, which fails where the disk does.
    static func bytes(_ entry: Entry) throws(APIError) -> [UInt8] {
        do throws(StoreError) { return try entry.value.array } catch { throw APIError(error) }
    }

    /// What a change delivers.
    static func bytes(_ change: Change) throws(APIError) -> [UInt8] {
        do throws(StoreError) { return try change.value.array } catch { throw APIError(error) }
    }

    /// The document of an entry. What is stored was encoded here, so a failure is damage the store did not see.
    static func decode(_ entry: Entry) throws(APIError) -> Document {
        let bytes = try bytes(entry)
        do throws(JSONParseError) {
            return Document(try JSONParser.parse(bytes))
        } catch {
            throw APIError(
                code: 500, reason: .internalError, message: "\(entry.key) is stored as something unreadable: \(error)")
        }
    }

    /// The document of an entry in the version of `resource`.
    static func decode(_ entry: Entry, _ resource: ServedResource) throws(APIError) -> Document {
        try VersionConversion.served(try decode(entry), as: resource)
    }

    /// The documents of all entries. What a webhook has to convert of them is wanted together.
    static func decode(_ entries: some Sequence<Entry>, _ resource: ServedResource) throws(APIError) -> [Document] {
        var documents: [Document] = []
        documents.reserveCapacity(entries.underestimatedCount)
        guard let conversions = resource.conversions else {
            for entry in entries { documents.append(try decode(entry, resource)) }
            return documents
        }
        try conversions.each(entries) { entry throws(APIError) in documents.append(try decode(entry, resource)) }
        return documents
    }

    static func internalError(_ message: String) -> APIError {
        APIError(
            code: 500, reason: .internalError, message: "Internal error occurred: \(message)",
            causes: [APIError.Cause(reason: "", message: message, field: "")])
    }

    /// A random UID, version 4.
    func uniqueIdentifier() -> String {
        let high = random.next() & 0xffff_ffff_ffff_0fff | 0x4000
        let low = random.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (word, breaks) in [(high, [8, 12]), (low, [4])] {
            if word == low, !text.isEmpty { text.append(UInt8(ascii: "-")) }
            for position in 0..<16 {
                if breaks.contains(position) { text.append(UInt8(ascii: "-")) }
                text.append(digits[Int(word >> UInt64(60 - 4 * position) & 15)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// How one write is meant.
package struct WriteRequest: Sendable {
    package var fieldManager: String
    package var isDryRun = false
    package var fieldValidation = AdmissionRequest.FieldValidation.warn
    /// Apply only: takes fields over from other managers.
    package var force = false
    /// The end of a name that is to be made up; `nil`: made up here. A request that is run again makes up the same.
    package var nameSuffix: String?
    /// Members the request's body holds twice.
    package var duplicateFields: [String] = []

    package init(fieldManager: String) { self.fieldManager = fieldManager }
}

/// What a write came to.
package struct WriteAnswer: Sendable {
    /// The document as it stands now, its resourceVersion in it; of a deletion, as it last was.
    package var document: Document
    /// The document as it is stored; `nil` where nothing is.
    package var bytes: [UInt8]?
    /// What must be durable before a client hears of it; `nil` for a dry run.
    package var revision: Revision?
    package var isCreated = false
    /// The document is not there any more.
    package var isGone = false
    package var warnings: [String] = []
}

/// The one table from the store's refusals to those of the API.
extension APIError {
    package init(_ error: StoreError) {
        switch error {
        case .compacted:
            self = .expired("The resourceVersion for the provided list is too old.")
        case .future(let revision):
            self = APIError(
                code: 504, reason: .timeout, message: "Timeout: Too large resource version: \(revision)",
                causes: [Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")],
                retryAfterSeconds: 1)
        case .busy:
            self = APIError(code: 429, reason: .tooManyRequests, message: error.description, retryAfterSeconds: 1)
        case .full:
            self = APIError(code: 503, reason: .serviceUnavailable, message: error.description, retryAfterSeconds: 1)
        case .readOnly, .closed, .locked:
            self = APIError(code: 503, reason: .serviceUnavailable, message: error.description)
        case .invalid(let reason): self = .badRequest(reason)
        case .conditionFailed:
            self = APIError(code: 409, reason: .conflict, message: error.description)
        case .damaged, .newer, .sealed, .fileSystem: self = APIPipeline.internalError(error.description)
        }
    }
}
