import Documents
import Testing

@Suite("JSONPath")
struct JSONPathTests {
    private static let document: JSON = [
        "metadata": ["labels": ["app.kubernetes.io/name": "web"]],
        "spec": [
            "replicas": 3, "on": true, "f": 1.5, "list": [10, 20, 30],
            "rules": [["host": "a", "n": 1], ["host": "b", "n": 2], ["n": 3]],
            "nested": ["list": [["x": [1, 2]], ["x": [3]]]],
        ],
        "status": ["conditions": [["type": "Ready", "status": "True"], ["type": "Synced", "status": "False"]]],
    ]

    @Test(
        "what kubectl 1.32 finds",
        arguments: [
            (".spec.replicas", "[3]"), ("{.spec.replicas}", "[3]"), ("$.spec.replicas", "[3]"),
            (#".metadata.labels.app\.kubernetes\.io/name"#, #"["web"]"#),
            (".metadata.labels['app.kubernetes.io/name']", #"["web"]"#),
            (".spec.list[0]", "[10]"), (".spec.list[-1]", "[30]"), (".spec.list[*]", "[10,20,30]"),
            (".spec.list[0:2]", "[10,20]"),
            (".spec.list[1:]", "[20,30]"), (".spec.list[:-1]", "[10,20]"), (".spec.list[0:3:2]", "[10,30]"),
            (#".status.conditions[?(@.type=="Ready")].status"#, #"["True"]"#),
            (".status.conditions[?(@.type=='Synced')].status", #"["False"]"#),
            (".spec.rules[*].host", #"["a","b"]"#), (".spec.rules[?(@.n>1)].n", "[2,3]"),
            (".spec.rules[?(@.n>=2)].n", "[2,3]"),
            (".spec.rules[?(@.n<2)].host", #"["a"]"#), (".spec.rules[?(@.n!=2)].n", "[1,3]"),
            (".spec.rules[?(@.host)].n", "[1,2]"),
            (".spec.nested.list[*].x[*]", "[1,2,3]"), (".spec.nested..x", "[[1,2],[3]]"), ("..host", #"["a","b"]"#),
            ("..n", "[1,2,3]"),
            (".spec.missing", "[]"), (".spec.list[7]", "[]"), (".spec.on", "[true]"), (".spec.f", "[1.5]"),
            (".spec['replicas','on']", "[3,true]"),
            (".spec.rules[0].*", #"["a",1]"#), (#".status.conditions[?(@.type=="Nope")].status"#, "[]"),
            (".spec.rules[?(@.n==1)].host", #"["a"]"#),
        ])
    func finds(path: String, expected: String) throws {
        #expect(JSON.array(try JSONPath(parsing: path).values(in: Self.document)) == (try json(expected)))
    }

    @Test(
        "what is no path",
        arguments: [
            "[", "spec", ".spec.list[a]", "{.spec", ".spec.rules[?(@.n=1)]", ".a[?(@.b==]", ".a['b", ".a[1", ".a[::0]",
            "..a..b", ".a[?(@[?(@)])]", ".a}", ".a[99999999999]",
        ])
    func refuses(path: String) {
        #expect(throws: APIError.self) { try JSONPath(parsing: path) }
    }

    @Test("a union that names a member twice finds it once, so that unions of unions cannot double")
    func unions() throws {
        var document: JSON = 1
        for _ in 0..<100 { document = ["a": document] }
        let path = String(repeating: "['a','a']", count: 100)
        #expect(try JSONPath(parsing: path).values(in: document) == [1])
    }
}
