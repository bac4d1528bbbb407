import Documents
import Glibc

// The inputs of libFuzzer, one function per parser of outside bytes. A parser fails where it traps, hangs, or answers
// something that does not survive its own round trip. `hack/fuzz` builds this file with the modules and runs it.

/// What the environment variable FUZZ_TARGET may name.
private enum Target: String {
    case json, yaml, selectors, values, patches, http, protobuf, proxy, record, transaction, tokens, table, snapshot,
        cel, review, fieldsets, apply, definitions, patterns, client, spdy, dns, images
}

nonisolated(unsafe) private var target = Target.json

@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer) -> Int32 {
    guard let name = getenv("FUZZ_TARGET"), let known = Target(rawValue: String(cString: name)) else {
        perror(
            "FUZZ_TARGET: expected json, yaml, selectors, values, patches, http, protobuf, proxy, record, "
                + "transaction, tokens, table, snapshot, cel, review, fieldsets, apply, definitions, patterns, client, "
                + "spdy, dns or images"
        )
        exit(2)
    }
    target = known
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let input = UnsafeBufferPointer(start: data, count: size)
    switch target {
    case .json: fuzzJSON(input)
    case .yaml: fuzzYAML(Array(input))
    case .selectors: fuzzSelectors(String(decoding: input, as: UTF8.self))
    case .values: fuzzValues(String(decoding: input, as: UTF8.self))
    case .patches: fuzzPatches(input)
    case .http: fuzzHTTP(Array(input))
    case .protobuf: fuzzProtobuf(Array(input))
    case .proxy: fuzzProxy(Array(input))
    case .record: fuzzRecord(Array(input))
    case .transaction: fuzzTransaction(Array(input))
    case .cel: fuzzCEL(String(decoding: input, as: UTF8.self))
    case .tokens: fuzzTokens(String(decoding: input, as: UTF8.self))
    case .table: fuzzTable(Array(input))
    case .snapshot: fuzzSnapshot(Array(input))
    case .review: fuzzReview(Array(input))
    case .fieldsets: fuzzFieldSets(input)
    case .apply: fuzzApply(input)
    case .definitions: fuzzDefinitions(input)
    case .patterns: fuzzPatterns(String(decoding: input, as: UTF8.self))
    case .client: fuzzClient(Array(input))
    case .spdy: fuzzSPDY(Array(input))
    case .dns: fuzzDNS(Array(input))
    case .images: fuzzImages(String(decoding: input, as: UTF8.self))
    }
    return 0
}

/// Ends the run, with what was found, as a trap does.
func check(_ holds: Bool, _ what: @autoclosure () -> String) {
    if holds { return }
    let message = Array("FOUND: \(what())\n".utf8)
    _ = write(2, message, message.count)
    abort()
}

private func fuzzJSON(_ input: UnsafeBufferPointer<UInt8>) {
    do {
        let (value, _) = try JSONParser.parseReportingDuplicates(input)
        let again = try? JSONParser.parse(value.encoded)
        check(again == value, "compact JSON does not read back: \(value)")
        let indented = try? JSONParser.parse(Array(value.text(indent: true).utf8))
        check(indented == value, "indented JSON does not read back: \(value)")
        check(value.hashValue == again?.hashValue, "equal values hash apart")
    } catch {
        check(
            error.offset <= input.count && error.line >= 1 && error.column >= 1, "an error beyond the input: \(error)")
    }
}

private func fuzzYAML(_ input: [UInt8]) {
    guard let documents = try? YAMLReader.documents(in: input, file: "fuzz") else { return }
    for document in documents {
        let text = YAMLWriter.text(document.json)
        let again = (try? YAMLReader.document(in: Array(text.utf8), file: "again"))?.json ?? "unreadable"
        // Compared as text: floats without a fraction come back as integers.
        let isSame = YAMLWriter.text(again) == text || document.json.isNull
        check(isSame, "YAML does not read back: \(document.json) came back as \(again)")
        for member in document.json.objectValue?.members.prefix(8) ?? [] { _ = document.position(ofField: member.key) }
        _ = document.nearestPosition(toField: "spec.rules[0].backends[1].weight")
    }
}

private func fuzzSelectors(_ text: String) {
    if let selector = try? LabelSelector(parsing: text) {
        check(
            (try? LabelSelector(parsing: selector.description)) == selector,
            "label selector does not read back: \(selector)")
        _ = selector.matches(["app": "web", "n": "5"])
    }
    if let selector = try? FieldSelector(parsing: text) {
        check(
            (try? FieldSelector(parsing: selector.description)) == selector,
            "field selector does not read back: \(selector)")
        _ = selector.matches { $0 }
    }
    if let json = try? JSONParser.parse(Array(text.utf8)) { _ = try? LabelSelector(json: json).matches(["app": "web"]) }
}
