internal import Client
internal import Documents
internal import Seams

/// The few operations on a bucket that a replica needs, over HTTP.
struct BucketClient: Sendable {
    /// An answer that is not an error.
    struct Answer: Sendable {
        var headers: [(name: String, value: String)]
        var body: [UInt8]

        func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name }?.value
        }
    }

    private let settings: BucketSettings
    private let http: HTTPClient
    private let clock: any Clock

    init(_ settings: BucketSettings, clock: any Clock) throws(BucketError) {
        self.settings = settings
        self.clock = clock
        do throws(APIError) { http = try HTTPClient(endpoint: settings.endpoint) } catch {
            throw BucketError(error.message)
        }
    }

    // MARK: Objects

    func put(_ name: String, _ body: [UInt8]) async throws(BucketError) {
        _ = try await request("PUT", name, body: body)
    }

    /// Up to `count` bytes from `offset`.
    func get(_ name: String, at offset: Int, count: Int) async throws(BucketError) -> [UInt8] {
        let range = (name: "range", value: "bytes=\(offset)-\(offset + count - 1)")
        return try await request("GET", name, headers: [range], allowing: [416]).body
    }

    func remove(_ name: String) async throws(BucketError) {
        _ = try await request("DELETE", name, allowing: [404])
    }

    /// The names below the prefix.
    func list() async throws(BucketError) -> [String] {
        var names: [String] = []
        var token: String?
        repeat {
            var query = [("list-type", "2"), ("prefix", settings.prefix)]
            if let token { query.append(("continuation-token", token)) }
            let answer = try await request("GET", nil, query: query)
            let text = XMLText(answer.body)
            guard text.holds("ListBucketResult") else {
                throw BucketError("\(place) does not answer as a bucket does: expected a list of objects")
            }
            for key in text.all("Key") where key.hasPrefix(settings.prefix) {
                names.append(String(key.dropFirst(settings.prefix.count)))
            }
            token = text.first("IsTruncated") == "true" ? text.first("NextContinuationToken") : nil
        } while token != nil
        return names
    }

    // MARK: Objects in parts

    /// Begins an object that is sent in parts, and is there once they are put together.
    func beginParts(_ name: String) async throws(BucketError) -> String {
        let answer = try await request("POST", name, query: [("uploads", "")])
        guard let upload = XMLText(answer.body).first("UploadId") else {
            throw BucketError("\(place) began no upload of \(name)")
        }
        return upload
    }

    /// Sends a part, counted from 1, and returns its tag.
    func putPart(_ name: String, _ upload: String, number: Int, _ body: [UInt8]) async throws(BucketError) -> String {
        let query = [("partNumber", "\(number)"), ("uploadId", upload)]
        guard let tag = try await request("PUT", name, query: query, body: body).header("etag") else {
            throw BucketError("\(place) did not tag part \(number) of \(name)")
        }
        return tag
    }

    func finishParts(_ name: String, _ upload: String, tags: [String]) async throws(BucketError) {
        let parts = tags.enumerated().map {
            "<Part><PartNumber>\($0.offset + 1)</PartNumber><ETag>\($0.element)</ETag></Part>"
        }
        let body = Array("<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>".utf8)
        let answer = try await request("POST", name, query: [("uploadId", upload)], body: body)
        // This answer may begin before the service knows how it ends.
        if XMLText(answer.body).holds("Error") { throw Self.error(200, answer.body, "POST", "\(place)\(name)") }
    }

    /// Lets go of parts that are not to be put together.
    func abandonParts(_ name: String, _ upload: String) async throws(BucketError) {
        _ = try await request("DELETE", name, query: [("uploadId", upload)], allowing: [404])
    }

    // MARK: Requests

    private var place: String { "s3://\(settings.bucket)/\(settings.prefix)" }

    private func request(
        _ method: String, _ name: String?, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], body: [UInt8] = [], allowing allowed: [Int] = []
    ) async throws(BucketError) -> Answer {
        let key = name.map { "/" + RequestSigner.encoded(settings.prefix + $0, keeping: "/") } ?? ""
        let request = RequestSigner.Request(
            method: method, path: "/\(settings.bucket)\(key)", query: query,
            headers: headers + [("host", settings.endpoint.authority)], body: body)
        let signer = RequestSigner(try settings.credentials(), region: settings.region)
        let signed = signer.headers(for: request, at: clock.now()).filter { $0.name != "host" }
        let target = query.isEmpty ? request.path : "\(request.path)?\(RequestSigner.text(of: query))"
        let what = "\(place)\(name ?? "")"
        let answer: (status: Int, headers: [(name: String, value: String)], body: [UInt8])
        do throws(APIError) {
            answer = try await http.send(method, target, headers: signed, body: method == "GET" ? nil : body)
        } catch {
            throw BucketError("\(method) \(what): \(error.message)")
        }
        if allowed.contains(answer.status) { return Answer(headers: answer.headers, body: []) }
        if !(200..<300).contains(answer.status) { throw Self.error(answer.status, answer.body, method, what) }
        return Answer(headers: answer.headers, body: answer.body)
    }

    private static func error(_ status: Int, _ body: [UInt8], _ method: String, _ what: String) -> BucketError {
        let text = XMLText(body)
        let code = text.first("Code") ?? ""
        let message = text.first("Message") ?? String(decoding: body.prefix(BucketLimits.messageBytes), as: UTF8.self)
        let isFull = status == 507 || code.hasSuffix("StorageFull") || code.hasPrefix("QuotaExceeded")
        return BucketError("\(method) \(what): \(status) \(code) \(message)", isFull: isFull)
    }
}

/// The texts of elements in an answer of the service: no more of XML than its answers need.
struct XMLText {
    private let text: String

    init(_ bytes: [UInt8]) { text = String(decoding: bytes, as: UTF8.self) }

    func holds(_ element: String) -> Bool { text.contains("<\(element)>") || text.contains("<\(element) ") }

    func first(_ element: String) -> String? { all(element).first }

    func all(_ element: String) -> [String] {
        var (found, rest): ([String], Substring) = ([], text[...])
        while let start = rest.firstRange(of: "<\(element)>") {
            rest = rest[start.upperBound...]
            guard let end = rest.firstRange(of: "</\(element)>") else { break }
            found.append(Self.decoded(rest[..<end.lowerBound]))
            rest = rest[end.upperBound...]
        }
        return found
    }

    private static func decoded(_ text: Substring) -> String {
        String(text).replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&quot;", with: "\"")
            .replacing("&apos;", with: "'").replacing("&amp;", with: "&")
    }
}
