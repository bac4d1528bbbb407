import Testing

/// The rules would pass everything if they saw nothing; here they see what they must refuse.
@Suite("The tidy tests see what they look for")
struct TidySelfTests {
    private func blanked(_ text: String) -> String {
        String(decoding: CodeText.blanked(Array(text.utf8)), as: UTF8.self)
    }

    @Test(
        "comments and strings are blanked, interpolations are code",
        arguments: [
            (#"let a = "x { y" // }"#, "let a ="),
            (#"f("a \(g("b {", c) + d!) e")"#, "f( g( , c) + d! )"),
            ("/* { /* } */ { */ x", "x"),
            ("let s = \"\"\"\n  { \"q\" \\(v!)\n  \"\"\" + t!", "let s = \n v! \n + t!"),
            (##"f(#"a " \#(b!) \("# + c!)"##, "f( b! + c!)"),
            (#"let c = "\"{" + d"#, "let c = + d"),
        ])
    func blanking(text: String, code: String) {
        let result = blanked(text)
        #expect(result.split(separator: " ").joined(separator: " ") == code)
        #expect(result.utf8.count == text.utf8.count)
    }

    @Test("functions are measured by their braces")
    func functions() {
        let body = String(repeating: "        call()\n", count: 68)
        let text = """
            struct A {
                package func long() {
            \(body)    }
                func short() -> String { "}" }
                var value: Int { 1 }
                init() {
                    if x { y() }
                }
            }
            protocol P { func requirement() }
            """
        let file = SourceFile(path: "Sources/A/A.swift", bytes: Array(text.utf8))
        let found = SizeTests.functions(in: file)
        #expect(found.map(\.line) == [2, 72, 74])
        #expect(found.map(\.length) == [70, 1, 3])
    }

    @Test(
        "forced unwraps, and what looks like one",
        arguments: [
            ("a!", true), ("f()!.b", true), ("x[0]!", true), ("a != b", false), ("!a", false), ("if !f(a) {", false),
            ("a! = 3", true), ("return a!", true), ("a!=b", false),
        ])
    func forcedUnwraps(line: String, forces: Bool) {
        #expect(BannedCallTests.forcesUnwrap(line[...]) == forces)
    }

    @Test(
        "imports are recognised",
        arguments: [
            ("import Documents", "Documents"), ("package import Seams", "Seams"),
            ("internal import struct X509.Name", "X509"),
            ("@preconcurrency import NIOCore", "NIOCore"), ("let important = 1", nil), ("// import Foundation", nil),
        ] as [(String, String?)])
    func imports(line: String, module: String?) {
        #expect(ImportTests.importedModule(blanked(line)[...]) == module)
    }

    @Test(
        "types at the top of a file are recognised",
        arguments: [
            ("package struct A {", true), ("final class B: C {", true), ("private enum D {", false),
            ("    struct E {", false),
            ("extension F {", false), ("package protocol G: AnyObject {", true), ("func structure() {", false),
        ])
    func types(line: String, declares: Bool) {
        #expect(DocumentationTests.declaresType(line[...]) == declares)
    }
}
