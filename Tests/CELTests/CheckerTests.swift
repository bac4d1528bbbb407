import CEL
import Documents
import Testing

/// What is found out about expressions before there are values.
@Suite struct CheckerTests {
    /// An object with a member of every kind.
    static let root: CELDeclaration = {
        func field(_ name: String, _ declaration: CELDeclaration) -> CELDeclaration.Field {
            CELDeclaration.Field(property: name, declaration: declaration)
        }
        func text(_ path: String) -> CELDeclaration { .scalar(.string, maxElements: 40, at: path) }
        let item = CELDeclaration.object(
            [
                "name": field("name", text(".items.@idx.name")),
                "port": field("port", .scalar(.int, at: ".items.@idx.port")),
            ],
            at: ".items.@idx")
        let other = CELDeclaration.object(["name": field("name", text(".other.name"))], at: ".other")
        return .object(
            [
                "text": field("text", text(".text")), "count": field("count", .scalar(.int, at: ".count")),
                "flag": field("flag", .scalar(.bool, at: ".flag")),
                "share": field("share", .scalar(.double, at: ".share")),
                "any": field("any", .scalar(.dyn, maxElements: 100, at: ".any")),
                "since": field("since", .scalar(.timestamp, maxElements: 32, at: ".since")),
                "span": field("span", .scalar(.duration, maxElements: 32, at: ".span")),
                "items": field("items", .list(of: item, kind: .atomic, maxElements: 10, at: ".items")),
                "names": field("names", .list(of: text(".names.@idx"), kind: .set, maxElements: 10, at: ".names")),
                "labels": field("labels", .map(of: text(".labels.@elem"), maxElements: 10, at: ".labels")),
                "other": field("other", other), "a__dash__b": field("a-b", text(".a__dash__b")),
                "__namespace__": field("namespace", text(".__namespace__")),
            ], at: "")
    }()

    /// The type of an expression about `root`, or everything that is wrong with it.
    static func type(_ rule: String) -> String {
        let program: CELProgram
        do { program = try CELProgram.compiled(rule) } catch { return error.text(in: rule) }
        do {
            let checked = try CELChecker.check(program, variables: [("self", root.type)])
            _ = CELEstimator.maximum(of: checked, root: root)
            return checked.typeText
        } catch {
            return error.text(in: rule)
        }
    }

    @Test(arguments: [
        ("self.text", "string"), ("self.count + 1", "int"), ("self.items[0].port", "int"),
        ("self.items", "list(selfType.items.@idx)"),
        ("self.labels['a']", "string"), ("self.labels.a", "string"), ("self.any", "dyn"),
        ("self.any.x.y[0] + 1", "int"),
        ("self.a__dash__b + self.namespace + self.__namespace__", "string"), ("self.span + self.since", "timestamp"),
        ("self.since - self.since", "duration"), ("self.items.map(i, i.name)", "list(string)"),
        ("self.items.filter(i, i.port > 1)", "list(selfType.items.@idx)"), ("self.labels.map(k, k)", "list(string)"),
        ("self.labels.transformMap(k, v, v.size())", "map(string, int)"),
        ("self.items.transformList(i, v, i)", "list(int)"),
        ("self.names.transformMapEntry(i, v, {v: i})", "map(string, int)"), ("self.items.exists_one(i, true)", "bool"),
        ("self.?text", "optional_type(string)"), ("self.?other.name", "optional_type(string)"),
        ("self.?other.?name.orValue('')", "string"), ("self.items[?0].port", "optional_type(int)"),
        ("self.?text.optMap(t, t.size())", "optional_type(int)"),
        ("self.?names.optFlatMap(n, n[?0])", "optional_type(string)"),
        ("optional.none()", "optional_type(dyn)"), ("[]", "list(dyn)"), ("{}", "map(dyn, dyn)"),
        ("{'a': [1]}", "map(string, list(int))"),
        ("[] + [1]", "list(int)"), ("self.flag ? self.text : 'x'", "string"), ("self.flag ? self.any : 'x'", "dyn"),
        ("type(self.count) == int", "bool"), ("type(self.span) == google.protobuf.Duration", "bool"),
        ("self.other == null", "bool"), ("self.any == null || self.any == 1 || self.any == 'a'", "bool"),
        ("'%s %d'.format([self.text, 1])", "string"), ("self.names.min()", "string"),
        ("self.any.min()", "dyn"), ("quantity(self.text).isLessThan(quantity('1'))", "bool"),
        ("semver('1.2.3').major()", "int"), ("url(self.text).getQuery()['a']", "list(string)"),
        ("cidr('10.0.0.0/8').ip()", "net.IP"), ("sets.contains(self.names, ['a'])", "bool"),
        ("self.names.sort()", "list(string)"),
        ("self.names.sortBy(n, n.size())", "list(string)"), ("lists.range(3)", "list(int)"),
        ("self.count < 1.5", "bool"),
        ("format.dns1123Label().validate('a')", "optional_type(list(string))"),
        ("self.since.getHours('+01:00')", "int"),
        ("dyn(self.count) == 'a'", "bool"), ("[1, 2].all(i, v, i < v)", "bool"), ("has(self.other.name)", "bool"),
        ("self.labels.all(k, k.startsWith('a') && self.labels[k] != '')", "bool"), ("self", "selfType"),
    ])
    func types(rule: String, expected: String) {
        #expect(Self.type(rule) == expected, "\(rule)")
    }

    /// An expression, the column of the mistake, and what is said.
    @Test(arguments: [
        ("self.foo", 5, "undefined field 'foo'"), ("has(self.other.foo)", 4, "undefined field 'foo'"),
        ("self.items.all(i, i.foo == 1)", 20, "undefined field 'foo'"),
        ("foo == 1", 1, "undeclared reference to 'foo' (in container '')"),
        ("self.text.foo()", 14, "undeclared reference to 'foo' (in container '')"),
        ("foo(1)", 4, "undeclared reference to 'foo' (in container '')"),
        ("self.text == 1", 11, "found no matching overload for '_==_' applied to '(string, int)'"),
        ("self.count == 1.0", 12, "found no matching overload for '_==_' applied to '(int, double)'"),
        ("self.text == null", 11, "found no matching overload for '_==_' applied to '(string, null)'"),
        (
            "self.other == self.items[0]", 12,
            "found no matching overload for '_==_' applied to '(selfType.other, selfType.items.@idx)'"
        ),
        ("self.text.size() > 'a'", 18, "found no matching overload for '_>_' applied to '(int, string)'"),
        ("self.count.startsWith('a')", 22, "found no matching overload for 'startsWith' applied to 'int.(string)'"),
        ("size(self.count)", 5, "found no matching overload for 'size' applied to '(int)'"),
        ("!self.text", 1, "found no matching overload for '!_' applied to '(string)'"),
        ("self.text && self.flag", 5, "expected type 'bool' but found 'string'"),
        ("self.flag || 1", 14, "expected type 'bool' but found 'int'"),
        ("self.items.all(i, i.port)", 20, "expected type 'bool' but found 'int'"),
        (
            "self.names.filter(n, n)", 18,
            "found no matching overload for '_?_:_' applied to '(string, list(string), list(string))'"
        ),
        ("self.names.exists_one(n, n)", 22, "found no matching overload for '_?_:_' applied to '(string, int, int)'"),
        (
            "self.count.all(x, true)", 5,
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"
        ),
        ("self.count.foo", 11, "type 'int' does not support field selection"),
        (
            "'a' in self.items", 5,
            "found no matching overload for '@in' applied to '(string, list(selfType.items.@idx))'"
        ),
        ("self.labels[1]", 12, "found no matching overload for '_[_]' applied to '(map(string, string), int)'"),
        ("self.flag ? 1 : 'a'", 11, "found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        ("[1, 'a']", 5, "expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}", 15, "expected type 'int' but found 'string'"),
        ("duration('1d') > self.span", 10, "invalid duration argument"),
        ("timestamp('x') > self.since", 11, "invalid timestamp argument"),
        ("self.text.matches('(')", 19, "invalid matches argument"),
        (
            "self.names.reverse() == self.text.reverse()", 42,
            "found no matching overload for 'reverse' applied to 'string.()'"
        ),
        ("self.?foo", 5, "undefined field 'foo'"),
        (
            "optional.of(1).orValue('a')", 23,
            "found no matching overload for 'orValue' applied to 'optional_type(int).(string)'"
        ),
        ("self.count.optMap(x, x)", 18, "found no matching overload for 'hasValue' applied to 'int.()'"),
        ("self.names.sum()", 15, "found no matching overload for 'sum' applied to 'list(string).()'"),
        ("base64.encode(b'a')", 1, "undeclared reference to 'base64' (in container '')"),
        (
            "quantity('1') == semver('1.0.0')", 15,
            "found no matching overload for '_==_' applied to '(kubernetes.Quantity, kubernetes.Semver)'"
        ),
        ("self.since + 1", 12, "found no matching overload for '_+_' applied to '(timestamp, int)'"),
        ("has(self)", 5, "invalid argument to has() macro"),
        ("self.items.map(1, 2)", 16, "argument is not an identifier"),
    ])
    func mistakes(rule: String, column: Int, message: String) {
        let mark = String(repeating: ".", count: column - 1) + "^"
        let first = Self.type(rule).split(separator: "\nERROR", maxSplits: 1).first.map(String.init)
        #expect(first == "ERROR: <input>:1:\(column): \(message)\n | \(rule)\n | \(mark)")
    }

    @Test func everythingIsSaidAtOnceInTheOrderOfPlaces() {
        #expect(
            Self.type("self.b == 1 &&\n  self.é == 1") == """
                ERROR: <input>:2:8: Syntax error: token recognition error at: 'é'
                 |   self.é == 1
                 | .......＾
                """)
        #expect(
            Self.type("self.a == 1 &&\n\tself.b == self.c") == """
                ERROR: <input>:1:5: undefined field 'a'
                 | self.a == 1 &&
                 | ....^
                ERROR: <input>:2:6: undefined field 'b'
                 |  self.b == self.c
                 | .....^
                ERROR: <input>:2:16: undefined field 'c'
                 |  self.b == self.c
                 | ...............^
                """)
    }
}
