import Documents

@testable import APIServer
@testable import Gateway

/// A request to the API server: its path with query, and on further lines the headers that choose what is answered.
func fuzzHTTP(_ input: [UInt8]) {
    let lines = input.split(separator: 0x0A, maxSplits: 2, omittingEmptySubsequences: false)
    do throws(APIError) {
        let target = try RequestTarget(parsing: Array(lines[0]))
        check(target.path.utf8.first == UInt8(ascii: "/") && !target.path.utf8.contains(0), "path \(target.path)")
        for parameter in target.query.parameters {
            check(target.query.has(parameter.name), "a parameter is lost: \(parameter.name)")
            _ = target.query.flag(parameter.name)
            _ = try? target.query.integer(parameter.name)
        }
    } catch {
        check(error.code == 400, "a bad path answers \(error.code)")
    }
    if lines.count > 1 {
        let header = String(decoding: lines[1], as: UTF8.self)
        _ = try? Representation.negotiate(accept: header, discovery: true)
        _ = try? BodyEncoding(contentType: header)
        _ = try? PatchEncoding(contentType: header, isBuiltIn: true)
    }
}

/// A protobuf body, as kubectl sends for built-in kinds.
func fuzzProtobuf(_ input: [UInt8]) {
    guard let document = try? ProtobufDecoder.document(input) else { return }
    check((try? JSONParser.parse(document.json.encoded)) == document.json, "a protobuf made what cannot be read")
}

/// A bearer token, as anybody may send one.
func fuzzTokens(_ text: String) {
    guard let token = JSONWebToken(parsing: text) else { return }
    let again = JSONWebToken.text(header: token.header, claims: token.claims) { _ in token.signature }
    let read = JSONWebToken(parsing: again)
    check(read?.claims == token.claims && read?.signature == token.signature, "a token does not read back: \(text)")
    guard let claims = TokenClaims(token.claims) else { return }
    check(TokenClaims(claims.json) == claims, "claims do not read back: \(claims)")
}

/// A request or response head and a chunked body, as the gateway's proxy meets them: from anyone, in any pieces. Each
/// piece has memory of its own and of its own size, so that AddressSanitizer sees every read beyond it.
func fuzzProxy(_ input: [UInt8]) {
    withCopy(of: input[...]) { bytes in
        var (whole, split) = (HeadScan(), HeadScan())
        let end = try? whole.end(in: bytes)
        let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
        let first = try? split.end(in: half)
        check(first == nil || first == end, "a head ends elsewhere when it comes in two pieces")
        if first == nil, let second = try? split.end(in: bytes), end != nil {
            check(second == end, "a head ends elsewhere when it comes in two pieces")
        }
        guard let length = end else { return }
        withCopy(of: input[..<length]) { head in fuzzHead(head) }
        let body = input[length...]
        check(
            chunkedLength(body, pieces: 1) == chunkedLength(body, pieces: 3), "a chunked body ends elsewhere in pieces")
    }
    _ = chunkedLength(input[...], pieces: 1)
}

private func fuzzHead(_ bytes: UnsafeRawBufferPointer) {
    var request = RequestHead()
    if (try? request.parse(bytes, length: bytes.count)) != nil {
        for span in [request.method, request.target, request.path, request.authority] {
            check(span.start >= 0 && span.start <= span.end && span.end <= bytes.count, "a range beyond the head")
        }
        check(
            request.path.start == request.target.start && request.path.end <= request.target.end,
            "a path beyond its target")
        _ = (request.keepsAlive, request.isIdempotent, request.wantsUpgrade(bytes))
        for field in request.block.fields { _ = request.block.isNominated(field, bytes) }
    }
    var response = ResponseHead()
    _ = try? response.parse(bytes, length: bytes.count, toHEAD: false)
}

/// How many bytes belong to a chunked body, read in pieces; `nil` where it is none.
private func chunkedLength(_ bytes: ArraySlice<UInt8>, pieces: Int) -> Int? {
    var body = ChunkedBody()
    var total = 0
    let size = max(1, bytes.count / pieces)
    for start in stride(from: bytes.startIndex, to: bytes.endIndex, by: size) {
        var consumed: Int?
        withCopy(of: bytes[start..<min(start + size, bytes.endIndex)]) { consumed = try? body.consume($0) }
        guard let consumed else { return nil }
        total += consumed
        if body.isDone { return total }
    }
    return total
}

private func withCopy(of bytes: ArraySlice<UInt8>, _ body: (UnsafeRawBufferPointer) -> Void) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    body(UnsafeRawBufferPointer(copy))
}
