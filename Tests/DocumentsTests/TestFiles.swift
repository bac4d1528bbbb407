import Documents
import Glibc
import Testing

/// The bytes of a file beside the tests, for example `Golden/reader.txt`.
func testFile(_ name: String, beside source: StaticString = #filePath) throws -> [UInt8] {
    let folder = "\(source)".split(separator: "/").dropLast().joined(separator: "/")
    let file = try #require(fopen("/\(folder)/\(name)", "r"), "no file \(name) beside the tests")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return bytes
}

/// JSON from text that is known to be JSON.
func json(_ text: String) throws -> JSON { try JSONParser.parse(Array(text.utf8)) }
