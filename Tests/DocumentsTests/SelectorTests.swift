import Documents
import Testing

@Suite("Selectors")
struct SelectorTests {
    private static let web = ["app": "web", "tier": "front", "n": "5", "x.y/z": ""]

    @Test(
        "label selectors and a document with app=web, tier=front, n=5, x.y/z=",
        arguments: [
            ("", true), ("app=web", true), ("app==web", true), ("app=api", false), ("app!=api", true),
            ("app!=web", false), ("gone!=x", true),
            ("app", true), ("gone", false), ("!gone", true), ("!app", false), ("! gone", true),
            ("app in (web,api)", true), ("app in (api)", false),
            ("app notin (api, db)", true), ("app notin (web)", false), ("gone notin (a)", true), ("gone in (a)", false),
            ("n>4", true),
            ("n>5", false), ("n<6", true), ("app>4", false), ("gone<4", false), ("app=web,tier=front", true),
            ("app=web,tier=back", false),
            (" app = web , tier = front ", true), ("x.y/z=", true), ("x.y/z", true), ("x.y/z!=", false),
            ("app in (web,)", true),
            ("app in ()", false), ("x.y/z in ()", true), ("app=web,", true), ("in=in", false), ("in in (in)", false),
            ("notin", false),
            ("app in(web)", true), ("n>-1", true),
        ] as [(String, Bool)])
    func labels(text: String, matches: Bool) throws {
        if text == "n>-1" {  // a value starts and ends with a letter or digit, as in Kubernetes
            #expect(throws: APIError.self) { try LabelSelector(parsing: text) }
            return
        }
        let selector = try LabelSelector(parsing: text)
        #expect(selector.matches(Self.web) == matches)
        #expect(try LabelSelector(parsing: selector.description) == selector, "\(selector)")
    }

    @Test(
        "what is no label selector",
        arguments: [
            ",", "=", "!", "a=b=c", "a in", "a in (", "a in (b", "a in b", "a=b c", "a b", "a,,b", "a===b", "!a=b",
            "a!b", "a>x", "a=é", "-a=b", "a-=b",
            "a/b/c", "/a", "A_/b", "a=\(String(repeating: "x", count: 64))", "(a)", "a notin", "a<", "a in (b))",
        ])
    func notLabels(text: String) {
        #expect(throws: APIError.self) { try LabelSelector(parsing: text) }
    }

    @Test("the JSON form, where null matches nothing and an empty object everything")
    func labelJSON() throws {
        #expect(try LabelSelector(json: .null).matches(Self.web) == false)
        #expect(try LabelSelector(json: [:]).matches(Self.web))
        let selector = try LabelSelector(json: [
            "matchLabels": ["app": "web"],
            "matchExpressions": [
                ["key": "tier", "operator": "NotIn", "values": ["back"]], ["key": "gone", "operator": "DoesNotExist"],
            ],
        ])
        #expect(selector.matches(Self.web))
        #expect(selector.description == "app=web,!gone,tier!=back")
        #expect(throws: APIError.self) {
            try LabelSelector(json: ["matchExpressions": [["key": "a", "operator": "Like"]]])
        }
        #expect(throws: APIError.self) {
            try LabelSelector(json: ["matchExpressions": [["key": "a", "operator": "In"]]])
        }
        #expect(throws: APIError.self) {
            try LabelSelector(json: ["matchExpressions": [["key": "a", "operator": "Exists", "values": ["b"]]]])
        }
        #expect(LabelSelector(matchLabels: ["app": "web"]).matches(Self.web))
    }

    @Test("field selectors")
    func fields() throws {
        let selector = try FieldSelector(parsing: #"metadata.name=a,status.phase!=Running,x==b\,c\=d\\,,e="#)
        #expect(
            selector.requirements == [
                .init(path: "metadata.name", isEqual: true, value: "a"),
                .init(path: "status.phase", isEqual: false, value: "Running"),
                .init(path: "x", isEqual: true, value: #"b,c=d\"#), .init(path: "e", isEqual: true, value: ""),
            ])
        #expect(try FieldSelector(parsing: selector.description) == selector)
        #expect(selector.exactValue(of: "metadata.name") == "a")
        let values = ["metadata.name": "a", "status.phase": "Pending", "x": #"b,c=d\"#]
        #expect(selector.matches { values[$0] ?? "" })
        #expect(!selector.matches { $0 == "metadata.name" ? "b" : values[$0] ?? "" })
        #expect(try FieldSelector(parsing: "").isEmpty)
    }

    @Test("what is no field selector", arguments: ["a", "a!b", "a=b=c", #"a=\b"#, #"a=b\"#, "!"])
    func notFields(text: String) {
        #expect(throws: APIError.self) { try FieldSelector(parsing: text) }
    }
}
