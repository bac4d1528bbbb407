internal import Documents
internal import Synchronization

/// What webhooks have converted for one request or one watch, and what they are still to convert.
///
/// The pipeline is synchronous and a webhook is not. So where the pipeline needs a document in another version it looks
/// here, and where that is not known yet it gives up with `missing`, before anything was written. Whoever runs the request
/// asks the webhook for what is wanted, and runs it again. A conversion depends on the document alone, so what was
/// learned stays true however often that happens.
final class Conversions: Sendable {
    /// What one review asks for.
    struct Wanted: Sendable {
        fileprivate var keys: [Key]
        var documents: [Document]
        var target: String
        /// Whether they were wanted together, as a list.
        var isList: Bool
    }

    /// A document without what a conversion may not look at: a write that is run again has another UID and other times.
    fileprivate struct Key: Hashable {
        let document: JSON
        let target: String

        init(_ document: Document, _ target: String) {
            var json = document.json
            let seen = document.metadata.members.filter {
                ["name", "namespace", "labels", "annotations"].contains($0.key)
            }
            json["metadata"] = .object(JSONObject(seen.map { ($0.key, $0.value) }))
            self.document = json
            self.target = target
        }
    }

    private struct State {
        var known: [Key: Document] = [:]
        var wanted: [(key: Key, document: Document)] = []
        var isList = false
    }

    private let state = Mutex(State())

    /// Thrown where a document has to be converted first. Never reaches a client.
    static let missing = APIError(code: 500, reason: .internalError, message: "a document is not converted yet")

    func converted(_ document: Document, to target: String) throws(APIError) -> Document {
        let key = Key(document, target)
        let known = state.withLock { state in
            let found = state.known[key]
            if found == nil, state.wanted.count < APIServerLimits.conversionDocuments {
                state.wanted.append((key, document))
            }
            return found
        }
        guard var known else { throw Self.missing }
        var metadata = document.metadata
        for field in ["labels", "annotations"] { metadata[field] = known.metadata[field] }
        known.metadata = metadata
        return known
    }

    /// Calls `body` on each; what is missing is wanted together, as a list.
    func each<Element>(
        _ elements: some Sequence<Element>, _ body: (Element) throws(APIError) -> Void
    ) throws(APIError) {
        var isMissing = false
        for element in elements {
            do throws(APIError) {
                try body(element)
            } catch {
                if error != Self.missing { throw error }
                isMissing = true
            }
        }
        if !isMissing { return }
        state.withLock { $0.isList = true }
        throw Self.missing
    }

    /// Takes what is wanted, of one target at a time.
    func takeWanted() -> Wanted? {
        state.withLock { state in
            guard let target = state.wanted.first?.key.target else { return nil }
            let taken = state.wanted.filter { $0.key.target == target }
            state.wanted.removeAll { $0.key.target == target }
            defer { state.isList = false }
            return Wanted(
                keys: taken.map(\.key), documents: taken.map(\.document), target: target, isList: state.isList)
        }
    }

    func learn(_ wanted: Wanted, _ converted: [Document]) {
        state.withLock { state in
            for (key, document) in zip(wanted.keys, converted) { state.known[key] = document }
        }
    }

    /// What was learned so far is not needed any more.
    func forget() { state.withLock { $0 = State() } }
}
