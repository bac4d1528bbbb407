internal import Client
internal import Documents
internal import Logging
internal import Seams
internal import Synchronization

/// What a runner writes into the API: the pod's status, its events, and at last that it has gone.
extension PodRunner {
    func report(_ status: JSON) async {
        let metadata: JSONObject = [
            "name": .string(specification.key.name), "namespace": .string(specification.key.namespace),
            // Another pod may bear the name by now.
            "uid": .string(specification.uid),
        ]
        let document = Document(["apiVersion": "v1", "kind": "Pod", "metadata": .object(metadata), "status": status])
        do {
            _ = try await context.client.apply(document, subresource: .status, options: context.write)
            mail.yield(.reported(status, isStored: true))
        } catch {
            if error.reason == .notFound || error.reason == .conflict {
                mail.yield(.reported(status, isStored: true))
                return
            }
            logger.warning("Pod status not written", metadata: ["error": "\(error)"])
            try? await context.clock.sleep(for: Limits.statusRetry)  // Cancelled: the message reaches nobody.
            mail.yield(.reported(status, isStored: false))
        }
    }

    func deleteDocument() async {
        var options = DeleteOptions(uid: specification.uid)
        options.gracePeriodSeconds = 0
        while !Task.isCancelled {
            do {
                return try await context.client.delete(specification.key, options: options)
            } catch {
                // Gone, or another pod bears the name now.
                if error.reason == .notFound || error.reason == .conflict { return }
                logger.warning("Pod document not deleted", metadata: ["error": "\(error)"])
                try? await context.clock.sleep(for: Limits.statusRetry)  // Cancelled: the loop's condition sees it.
            }
        }
    }

    /// Events are for people: one that cannot be written is let go. What happened before is counted in the same document.
    func record(
        type: String, reason: String, message: String, container: ContainerSpecification? = nil
    ) async {
        let event = EventLedger.Event(type: type, reason: reason, message: message)
        let moment = context.moment()
        guard let occurrences = ledger.withLock({ $0.onEvent(event, now: moment.monotonic) }) else { return }
        let what = "\(specification.uid) \(container?.name ?? "") \(type) \(reason) \(message)"
        let digits = String(NodeNetwork.hash(what), radix: 16)
        let key = ObjectKey(
            GroupResource(group: "", resource: "events"), namespace: specification.key.namespace,
            name: "\(specification.key.name).\(digits)")
        let now = moment.wall.rfc3339
        let options = WriteOptions(fieldManager: NodeContext.fieldManager)
        do {
            let known: Document?
            do { known = try await context.client.get(key) } catch  where error.reason == .notFound { known = nil }
            if let known {
                let count = (known["count"]?.integerValue ?? 1) + Int64(occurrences)
                let change: JSON = ["count": .integer(count), "lastTimestamp": .string(now)]
                _ = try await context.client.patch(key, .merge(change), subresource: nil, options: options)
            } else {
                let document = document(of: event, key, container, count: occurrences, now: now)
                _ = try await context.client.create(document, options: options)
            }
        } catch {
            logger.debug("Event not written", metadata: ["reason": "\(reason)", "error": "\(error)"])
        }
    }

    private func document(
        of event: EventLedger.Event, _ key: ObjectKey, _ container: ContainerSpecification?, count: Int, now: String
    ) -> Document {
        let node = context.configuration.nodeName
        var reference: JSON = [
            "apiVersion": "v1", "kind": "Pod", "name": .string(specification.key.name),
            "namespace": .string(specification.key.namespace), "uid": .string(specification.uid),
        ]
        if let container {
            let list = container.role == .main ? "containers" : "initContainers"
            reference["fieldPath"] = .string("spec.\(list){\(container.name)}")
        }
        return Document([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string(key.name), "namespace": .string(key.namespace)],
            "involvedObject": reference, "type": .string(event.type), "reason": .string(event.reason),
            "message": .string(event.message),
            "source": ["component": .string(NodeContext.fieldManager), "host": .string(node)],
            "firstTimestamp": .string(now), "lastTimestamp": .string(now), "count": .integer(Int64(count)),
            "reportingComponent": .string(NodeContext.fieldManager), "reportingInstance": .string(node),
        ])
    }
}
