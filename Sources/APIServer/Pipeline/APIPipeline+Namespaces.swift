internal import Documents
internal import Store
internal import Synchronization

/// What is in every namespace from its start, and comes back when somebody takes it away.
enum NamespaceContents {
    static let account = "default"
    /// The certificate by which programs in the namespace know the server.
    static let authority = "kube-root-ca.crt"

    static func isOne(of key: ObjectKey) -> Bool {
        key.resource == WellKnown.serviceAccounts && key.name == account
            || key.resource == WellKnown.configMaps && key.name == authority
    }

    static func authority(certificate: String) -> JSON {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "data": ["ca.crt": .string(certificate)],
            "metadata": [
                "name": .string(authority),
                "annotations": [
                    "kubernetes.io/description":
                        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints."
                ],
            ],
        ]
    }
}

extension APIPipeline {
    /// Sets the certificate (PEM) of the authority that signed the server's, and puts it into every namespace.
    package func setAuthority(_ certificate: String) {
        authority.withLock { $0 = certificate }
        for entry in store.snapshot(.sequenced).list(prefix: StoreKey.prefix(WellKnown.namespaces)) {
            cluster.withLock { $0.add(.provisionNamespace(entry.key.objectKey.name)) }
        }
    }

    /// What a namespace lacks of what every one has.
    func contents(of namespace: String) -> [PendingWrite] {
        var documents: [(GroupResource, JSON)] = [
            (
                WellKnown.serviceAccounts,
                [
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": ["name": .string(NamespaceContents.account)],
                ]
            )
        ]
        if let certificate = authority.withLock({ $0 }) {
            documents.append((WellKnown.configMaps, NamespaceContents.authority(certificate: certificate)))
        }
        return documents.compactMap { resource, json in missing(resource, Document(json), namespace) }
    }

    /// The write that brings a document into a namespace; `nil` where it is there, with the same data.
    private func missing(_ resource: GroupResource, _ wanted: Document, _ namespace: String) -> PendingWrite? {
        guard let resource = catalogue.storage(resource) else { return nil }
        let key = resource.key(namespace: namespace, name: wanted.name)
        var document = wanted
        document.json["metadata"]?["namespace"] = .string(namespace)
        guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else {
            prepareMetadata(&document, resource)
            return PendingWrite(resource: resource, key: key, entry: nil, old: nil, new: document)
        }
        // What cannot be read now is there all the same.
        guard let old = try? Self.decode(entry), old["data"] != wanted["data"] else { return nil }
        var new = old
        new["data"] = wanted["data"]
        return PendingWrite(resource: resource, key: key, entry: entry, old: old, new: new)
    }

    func provision(_ namespace: String) throws(APIError) {
        guard let entry = store.snapshot(.sequenced).get(StoreKey(ObjectKey(WellKnown.namespaces, name: namespace))),
            !cluster.withLock({ $0.terminating.contains(namespace) })
        else { return }
        let writes = contents(of: namespace)
        if writes.isEmpty { return }
        if try commit(writes, conditions: [.unchanged(entry.key, entry.modRevision)]) == nil {
            cluster.withLock { $0.add(.provisionNamespace(namespace)) }
        }
    }
}
