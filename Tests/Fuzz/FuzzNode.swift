import Node

/// A message as a pod, or a resolver the host asks, may send it. A question that was read is answered so that its
/// answer reads back.
func fuzzDNS(_ input: [UInt8]) {
    _ = try? DNSAnswer(input)
    guard case .query(let query) = DNSQuery.read(input) else { return }
    let record = DNSRecord(query.name, .a, [127, 0, 0, 1])
    let answer = try? DNSAnswer(query.answer(.noError, [record]))
    check(answer?.name == query.name && answer?.id == query.id, "an answer does not read back: \(query)")
    check(answer?.answers.first?.data == record.data, "what was answered does not read back: \(query)")
    let short = query.answer(.noError, Array(repeating: record, count: 99), limit: query.datagramBytes)
    check(short.count <= max(query.datagramBytes, 12 + query.question.count + 11), "\(short.count) bytes of answer")
}

/// A reference to an image: what is read reads the same again in full.
func fuzzImages(_ text: String) {
    guard let reference = try? ImageReference(text) else { return }
    let full = reference.description
    check((try? ImageReference(full))?.description == full, "a reference does not read back: \(full)")
}
