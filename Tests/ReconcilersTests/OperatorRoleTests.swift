import Client
import ControlLoop
import Documents
import Glibc
import Reconcilers
import Testing

/// manifests/operator/rbac.yaml against what the loops do: all of it may be done, and nothing else.
@Suite struct OperatorRoleTests {
    /// `group/resource verb`.
    private static func granted() throws -> Set<String> {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).prefix { $0 != "Tests" }
        let path = root.joined(separator: "/") + "/manifests/operator/rbac.yaml"
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        var granted: Set<String> = []
        for document in try YAMLReader.documents(in: bytes, file: path) {
            guard document.json["kind"] == "ClusterRole" else { continue }
            for rule in document.json["rules"]?.arrayValue ?? [] {
                let (groups, resources, verbs) = (
                    words(rule["apiGroups"]), words(rule["resources"]), words(rule["verbs"])
                )
                for group in groups {
                    for resource in resources { for verb in verbs { granted.insert("\(group)/\(resource) \(verb)") } }
                }
            }
        }
        return granted
    }

    private static func words(_ json: JSON?) -> [String] { (json?.arrayValue ?? []).compactMap(\.stringValue) }

    private static func needed() -> Set<String> {
        var needed: Set<String> = ["/events create"]
        func allow(_ resource: GroupResource, _ suffix: String = "", _ verbs: String...) {
            for verb in verbs { needed.insert("\(resource.group)/\(resource.resource)\(suffix) \(verb)") }
        }
        for loop in Loops.reconcilers(LoopSettings(secretKey: [], publicPort: 80)).filter(
            LoopSelection.ownKinds.contains)
        {
            allow(loop.primary.resource, "", "get", "list", "watch", "patch")
            allow(loop.primary.resource, "/status", "patch")
            let makesChildren = loop.interests.contains(where: \.isChild)
            if makesChildren { allow(loop.primary.resource, "/finalizers", "update") }
            for interest in loop.interests {
                allow(interest.resource, "", "get", "list", "watch")
                if interest.isChild { allow(interest.resource, "", "create", "patch", "delete") }
            }
        }
        return needed
    }

    @Test func grantsWhatTheLoopsDoAndNothingElse() throws {
        let (granted, needed) = (try Self.granted(), Self.needed())
        #expect(granted.subtracting(needed).sorted() == [])
        #expect(needed.subtracting(granted).sorted() == [])
    }
}
