import Documents
import Testing

@testable import espalier

@Suite struct ManifestTests {
    @Test func causesAreFoundInTheFile() throws {
        let text = """
            # a shop
            apiVersion: v1
            kind: Service
            metadata:
              name: web
            spec:
              ports:
              - name: http
                port: 80
            """
        let source = try #require(try YAMLReader.documents(in: Array(text.utf8), file: "shop.yaml").first)
        let manifest = Manifest(file: "shop.yaml", source: source, document: Document(source.json))
        #expect(manifest.place(of: "spec.ports[0].port") == "shop.yaml:9:5")
        #expect(manifest.place(of: #".spec.ports[name="http"].port"#) == "shop.yaml:9:5")
        #expect(manifest.place(of: "spec.selector") == "shop.yaml:6:1")
        #expect(manifest.place(of: "status.x") == "shop.yaml:2:1")
    }
}
