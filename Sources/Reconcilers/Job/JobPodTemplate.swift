internal import Client
internal import Documents

/// The pods a Job makes. Pure.
struct JobPodTemplate {
    private let job: JobView
    private let pods: JobPods

    init(_ job: JobView, _ pods: JobPods) {
        self.job = job
        self.pods = pods
    }

    /// A pod for the completion index, or for none.
    func pod(index: Int?, _ names: inout PodNames) -> Document {
        let template = job.document.spec["template"] ?? [:]
        let base = index.map { "\(job.document.name)-\($0)" } ?? job.document.name
        let name = names.next(base)
        var pod = Kinds.pod.document(namespace: job.document.namespace, name: name)
        for member in ["labels", "annotations"] { pod.metadata[member] = template["metadata"]?[member] }
        pod.metadata["finalizers"] = [.string(JobView.tracking)]
        var labels = pod.metadata["labels"] ?? [:]
        if !(job.document.spec["manualSelector"]?.boolValue ?? false) {
            for label in ["controller-uid", "batch.kubernetes.io/controller-uid"] {
                labels[label] = .string(job.document.uid)
            }
            for label in ["job-name", "batch.kubernetes.io/job-name"] { labels[label] = .string(job.document.name) }
        }
        pod["spec"] = template["spec"]
        if let index {
            labels[JobView.indexLabel] = .string(String(index))
            var annotations = pod.metadata["annotations"] ?? [:]
            annotations[JobView.indexLabel] = .string(String(index))
            if job.backoffLimitPerIndex != nil {
                annotations[JobView.indexFailures] = .string(String(pods.failures(of: index)))
            }
            pod.metadata["annotations"] = annotations
            pod["spec"] = indexed(pod.spec, index)
        }
        pod.metadata["labels"] = labels
        return pod
    }

    /// With a host name that tells the index, and the index in every container's environment.
    private func indexed(_ spec: JSON, _ index: Int) -> JSON {
        var spec = spec
        spec["hostname"] = .string("\(job.document.name)-\(index)")
        for list in ["initContainers", "containers"] {
            guard var containers = spec[list]?.arrayValue else { continue }
            for position in containers.indices {
                var environment = containers[position].elements("env")
                if environment.contains(where: { $0.text("name") == "JOB_COMPLETION_INDEX" }) { continue }
                let path = "metadata.annotations['\(JobView.indexLabel)']"
                environment.append([
                    "name": "JOB_COMPLETION_INDEX", "valueFrom": ["fieldRef": ["fieldPath": .string(path)]],
                ])
                containers[position]["env"] = .array(environment)
            }
            spec[list] = .array(containers)
        }
        return spec
    }
}
