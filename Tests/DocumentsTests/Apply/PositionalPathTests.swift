import Documents
import Testing

@Suite struct PositionalPathTests {
    private let document = fixture(
        #"""
        {"metadata": {"labels": {"app": "x", "app.kubernetes.io/part-of": "shop"}},
         "spec": {"ports": [{"name": "out", "port": 1}, {"name": "a],b", "port": 2}], "tags": ["x", "y"],
          "taps": [{"port": 53}], "color": "Red"}}
        """#)

    @Test(arguments: [
        (".spec.color", "spec.color"),
        ("spec.ports[1].port", "spec.ports[1].port"),
        (#".spec.ports[name="out"].port"#, "spec.ports[0].port"),
        (#".spec.ports[name="a],b"].port"#, "spec.ports[1].port"),
        (#".spec.tags[="y"]"#, "spec.tags[1]"),
        (#".spec.taps[port=53,protocol="TCP"].port"#, "spec.taps[0].port"),
        (".metadata.labels.app.kubernetes.io/part-of", "metadata.labels[app.kubernetes.io/part-of]"),
        ("metadata.labels[app.kubernetes.io/part-of]", "metadata.labels[app.kubernetes.io/part-of]"),
        (".metadata.labels.app", "metadata.labels.app"),
        (".spec.ports[7].port", "spec.ports"),
        (".spec.frame.material", "spec"),
        (#".spec.ports[name="gone"]"#, "spec.ports"),
        ("", ""), ("[", ""), (".spec.ports[", "spec.ports"), (#".spec.ports[""#, "spec.ports"),
    ])
    func resolves(path: String, positional: String) {
        #expect(PositionalPath.resolve(path, in: document) == positional)
    }
}
