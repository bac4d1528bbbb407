import Documents
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(
        "values come back as they were written",
        arguments: [
            "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5", "-0.25", "\"\"",
            "\"a\"", "[]", "{}",
            #"[1,[2,[3]],{"a":[{}]}]"#, #"{"b":1,"a":{"z":null,"y":[true]}}"#, #""\"\\\n\r\t\u0001/""#,
            "\"é😀\u{2028}\"", "5e-324", "1.7976931348623157e+308",
        ])
    func roundTrip(text: String) throws {
        #expect(try json(text).text() == text)
    }

    @Test(
        "numbers: integers and floats are kept apart",
        arguments: [
            ("1", .integer(1)), ("1.0", .number(1)), ("-0", .integer(0)), ("1e2", .number(100)), ("1E+2", .number(100)),
            ("9223372036854775808", .number(9223372036854775808)),
            ("1e-400", .number(0)), ("-0.0", .number(-0.0)),
        ] as [(String, JSON)])
    func numbers(text: String, value: JSON) throws {
        #expect(try json(text) == value)
        #expect(try json(" \n\(text)\t") == value)
    }

    @Test(
        "escapes are read",
        arguments: [
            (#""\u0041\/\b\f""#, "A/\u{8}\u{C}"), (#""\ud83d\ude00""#, "😀"), (#""\u00E9""#, "é"),
            (#""a\u0000b""#, "a\0b"),
        ])
    func escapes(text: String, value: String) throws {
        #expect(try json(text) == .string(value))
    }

    @Test(
        "what is not JSON is refused, with its place",
        arguments: [
            ("", 1, 1), (" ", 1, 2), ("nul", 1, 1), ("tru", 1, 1), ("01", 1, 1), ("-", 1, 2), ("1.", 1, 3),
            (".5", 1, 1), ("+1", 1, 1), ("1e", 1, 3), ("1e400", 1, 1),
            ("[1,]", 1, 4), ("[1 2]", 1, 4), ("[", 1, 2), ("{\"a\"}", 1, 5), ("{\"a\":}", 1, 6), ("{\"a\":1,}", 1, 8),
            ("{a:1}", 1, 2), ("{", 1, 2), ("{\"a\":1", 1, 7),
            ("\"a", 1, 3), ("\"\\x\"", 1, 3), ("\"\\u12\"", 1, 4), ("\"\\ud800\"", 1, 8), ("\"\\udc00\"", 1, 8),
            ("\"\\ud800\\u0041\"", 1, 14), ("\"a\nb\"", 1, 3), ("1 2", 1, 3),
            ("{\n  \"a\": 1\n  \"b\": 2\n}", 3, 3), ("[\n1,\n2,\nx]", 4, 1), ("NaN", 1, 1), ("'a'", 1, 1),
            ("// c\n1", 1, 1), ("\u{FEFF}1", 1, 1),
        ] as [(String, Int, Int)])
    func errors(text: String, line: Int, column: Int) throws {
        let error = try #require(throws: JSONParseError.self) { try json(text) }
        #expect([error.line, error.column] == [line, column], "\(error)")
        #expect(error.message.contains("expected"))
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [
            [0xFF], [0xC3], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
        ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(throws: JSONParseError.self) { try JSONParser.parse([quote] + bytes + [quote]) }
        #expect(throws: JSONParseError.self) {
            try JSONParser.parse([quote, UInt8(ascii: "\\"), UInt8(ascii: "n")] + bytes + [quote])
        }
        #expect(throws: JSONParseError.self) { try JSONParser.parse(bytes) }
    }

    @Test(
        "errors in the words of Go",
        arguments: [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            (#"{"a":"b"#, "unexpected end of JSON input"),
            ("{nonsense", "invalid character 'n' looking for beginning of object key string"),
            ("a: b", "invalid character 'a' looking for beginning of value"),
            (#"{"a" 1}"#, "invalid character '1' after object key"),
            (#"{"a":1 2}"#, "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} {}", "invalid character '{' after top-level value"),
            ("\u{7f}", #"invalid character '\u007f' looking for beginning of value"#),
        ])
    func goErrors(text: String, expected: String) {
        let error = #expect(throws: JSONParseError.self) { try JSONParser.parse(Array(text.utf8)) }
        #expect(error?.goDescription == expected)
    }

    @Test("nesting and size are bounded")
    func bounds() throws {
        let deep = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(throws: Never.self) { try json(deep) }
        #expect(throws: JSONParseError.self) { try json("[\(deep)]") }
        #expect(throws: JSONParseError.self) { try json(String(repeating: "{\"a\":", count: 100_000)) }
        #expect(throws: JSONParseError.self) { try JSONParser.parse(Array("[1,2]".utf8), maximumBytes: 4) }
    }

    @Test("of names that stand twice the last wins, and each is reported by its path")
    func duplicates() throws {
        let text = #"{"a":1,"spec":{"ports":[{"x":1},{"x":1,"x":2}],"r":1,"r":2},"m":[[{"q":1,"q":2}]],"a":2}"#
        let (value, duplicates) = try JSONParser.parseReportingDuplicates(Array(text.utf8))
        #expect(value.text() == #"{"a":2,"spec":{"ports":[{"x":1},{"x":2}],"r":2},"m":[[{"q":2}]]}"#)
        #expect(duplicates == ["spec.ports[1].x", "spec.r", "m[0][0].q", "a"])
        let many = "{" + Array(repeating: "\"a\":1", count: 5000).joined(separator: ",") + "}"
        #expect(try JSONParser.parseReportingDuplicates(Array(many.utf8)).duplicates.count == 100)
    }

    @Test("names and strings compare as bytes")
    func bytes() throws {
        let object = try json("{\"e\u{301}\":1,\"\u{e9}\":2}")
        #expect(object.objectValue?.count == 2)
        #expect(object["\u{e9}"] == 2)
        #expect(JSON.string("e\u{301}") != JSON.string("\u{e9}"))
        #expect(JSON.string("e\u{301}") == JSON.string("e\u{301}"))
    }

    @Test("objects are equal whatever their order, and hash alike")
    func equality() throws {
        let (a, b) = (try json(#"{"a":1,"b":{"c":2,"d":3}}"#), try json(#"{"b":{"d":3,"c":2},"a":1}"#))
        #expect(a == b)
        #expect(Set([a, b]).count == 1)
        #expect(a != (try json(#"{"a":1,"b":{"c":2}}"#)))
        #expect(JSON.integer(1) != JSON.number(1))
    }

    @Test(
        "an object keeps its order through changes, below and above the size where it has an index",
        arguments: [3, 23, 24, 25, 200])
    func order(count: Int) {
        var object = JSONObject()
        for number in 0..<count { object["k\(number)"] = .integer(Int64(number)) }
        object["k1"] = nil
        object["k2"] = "two"
        object["new"] = true
        #expect(Array(object.keys) == (0..<count).filter { $0 != 1 }.map { "k\($0)" } + ["new"])
        #expect(object["k2"] == "two")
        #expect(object["k1"] == nil)
        #expect(object["k\(count - 1)"] != nil || count == 2)
        let isNew = object.append("new", 1)
        #expect(!isNew)
        object.sort()
        #expect(Array(object.keys) == object.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        object.filter { $0.key == "new" }
        #expect(object == ["new": true])
    }

    @Test("values are changed in place by path")
    func subscripts() {
        var value: JSON = ["metadata": ["name": "a"]]
        value["metadata"]?["labels"] = ["x": "y"]
        value["spec"] = ["n": 1]
        value["metadata"]?["name"] = nil
        #expect(value == ["metadata": ["labels": ["x": "y"]], "spec": ["n": 1]])
        #expect(value[path: ["metadata", "labels", "x"]] == "y")
        #expect(value[path: ["metadata", "nothing", "x"]] == nil)
    }

    @Test("indented text")
    func indented() throws {
        #expect(
            try json(#"{"a":[1,{}],"b":{},"c":[]}"#).text(indent: true) == """
                {
                  "a": [
                    1,
                    {}
                  ],
                  "b": {},
                  "c": []
                }
                """)
    }
}
