internal import Admission
package import Documents

/// The definitions that come with the binary.
package struct BundledDefinitions: Sendable {
    /// Built-in kinds: never stored, always there.
    package let builtIn: [ResourceDefinition]
    /// Our own kinds, as CustomResourceDefinition documents that the server stores at its first start.
    package let own: [Document]

    /// Parses what is bundled. An error is a defect of the build, found by the tests.
    package static func load() throws(APIError) -> BundledDefinitions {
        var parsed: [JSON] = []
        for file in BundledFiles.all {
            do throws(YAMLError) {
                for document in try YAMLReader.documents(in: file.bytes, file: file.name) {
                    parsed.append(document.json)
                }
            } catch {
                throw APIError(code: 500, reason: .internalError, message: "bundled \(error)")
            }
        }
        var builtIn = ReviewKinds.definitions
        var own: [Document] = []
        for document in try BundledKinds.documents(in: parsed) {
            guard let definition = ResourceDefinition(customResourceDefinition: document) else {
                throw APIError(
                    code: 500, reason: .internalError, message: "bundled \(document.name) is no resource definition")
            }
            if definition.isBuiltIn { builtIn.append(definition) } else { own.append(document) }
        }
        return BundledDefinitions(builtIn: builtIn, own: own)
    }
}

/// The review kinds: requests dressed as documents. They are answered, never stored.
package enum ReviewKinds {
    package static let definitions: [ResourceDefinition] = [
        ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "Cluster"),
        ("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "Cluster"),
        ("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", "Cluster"),
        ("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", "Namespaced"),
        ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", "Cluster"),
        ("authentication.k8s.io", "TokenReview", "tokenreviews", "Cluster"),
    ].compactMap { group, kind, plural, scope in
        ResourceDefinition(
            customResourceDefinition: Document([
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": [
                    "name": .string("\(plural).\(group)"),
                    "annotations": ["espalier.dev/built-in": "true", "espalier.dev/verbs": "create"],
                ],
                "spec": [
                    "group": .string(group), "scope": .string(scope),
                    "names": [
                        "kind": .string(kind), "plural": .string(plural), "singular": .string(kind.lowercased()),
                    ],
                    "versions": [["name": "v1", "served": true, "storage": true]],
                ],
            ]))
    }

    package static func isReview(_ resource: GroupResource) -> Bool {
        resource.group == "authorization.k8s.io" || resource.group == "authentication.k8s.io"
    }
}
