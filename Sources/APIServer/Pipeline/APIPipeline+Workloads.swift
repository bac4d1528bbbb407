internal import Documents
internal import Store

/// What a Job has where its author said nothing.
enum JobDefaults {
    /// With labels that tell its pods from all others, and a selector for them; its own labels are those of its pods.
    static func applied(to job: Document) -> Document {
        var job = job
        guard job.spec.objectValue != nil else { return job }
        let hasLabels = !job.labels.isEmpty
        var labels = job.spec["template"]?["metadata"]?["labels"]?.objectValue ?? JSONObject()
        if job.spec["manualSelector"]?.boolValue ?? false {
            if !hasLabels, !labels.isEmpty { job.json["metadata"]?["labels"] = .object(labels) }
            return job
        }
        for name in ["batch.kubernetes.io/controller-uid", "controller-uid"] { labels[name] = .string(job.uid) }
        for name in ["batch.kubernetes.io/job-name", "job-name"] { labels[name] = .string(job.name) }
        if !hasLabels { job.json["metadata"]?["labels"] = .object(labels) }
        var template = job.spec["template"] ?? [:]
        var metadata = template["metadata"] ?? [:]
        metadata["labels"] = .object(labels)
        template["metadata"] = metadata
        job.json["spec"]?["template"] = template
        if job.spec["selector"] == nil {
            let uid = JSON.string(job.uid)
            job.json["spec"]?["selector"] = ["matchLabels": ["batch.kubernetes.io/controller-uid": uid]]
        }
        return job
    }
}

/// The class of volumes that are folders on the node.
enum LocalStorage {
    static let isDefault = "storageclass.kubernetes.io/is-default-class"

    /// There from the start. Volumes are bound at once: there is one node, so that there is no pod to wait for.
    static let storageClass: JSON = [
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": ["name": "espalier-local", "annotations": [isDefault: "true"]],
        "provisioner": "espalier.dev/local", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": true,
    ]
}

extension APIPipeline {
    /// A claim that names no class gets the default one, where there is one; the newest of several, as upstream has it.
    func prepareClaim(_ claim: Document) throws(APIError) -> Document {
        var claim = claim
        claim["status"] = ["phase": "Pending"]
        guard claim.spec.objectValue != nil, claim.spec["storageClassName"] == nil else { return claim }
        var found: [Document] = []
        for entry in store.snapshot(.sequenced).list(prefix: StoreKey.prefix(WellKnown.storageClasses)) {
            let document = try Self.decode(entry)
            if document.annotations[LocalStorage.isDefault] == "true" { found.append(document) }
        }
        let best = found.min {
            $0.creationTimestamp != $1.creationTimestamp
                ? $0.creationTimestamp > $1.creationTimestamp : $0.name < $1.name
        }
        if let best { claim.json["spec"]?["storageClassName"] = .string(best.name) }
        return claim
    }
}
