import Buckets
import Glibc
import Seams
import Store
import Testing

/// A replica in a real bucket.
@Suite(.serialized) struct BucketTests {
    private func bucket(
        _ server: BucketServer, _ address: String = "s3://copies/a b/c", secret: String? = nil
    ) throws -> ReplicaBucket {
        let environment = server.environment.merging(secret.map { ["AWS_SECRET_ACCESS_KEY": $0] } ?? [:]) { $1 }
        let settings = try BucketSettings(
            address, endpoint: server.url, environment: { environment[$0] }, readFile: { _ in nil })
        return try ReplicaBucket(settings, clock: SystemClock())
    }

    @Test(.enabled(if: BucketServer.canRun, "needs MOTO_PYTHON=$(hack/install-moto)"))
    func objectsAreThereWholeOrNotAtAll() throws {
        let server = try BucketServer()
        defer { server.stop() }
        let target = try bucket(server)
        #expect(try target.list() == [])
        // More than one request carries, of bytes that tell their place.
        let large = (0..<(20 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 12) }
        try target.put("large", ReplicaContent(large))
        try target.put("small", ReplicaContent(Array("text".utf8)))
        try target.put("empty", ReplicaContent([]))
        #expect(try target.list().sorted() == ["empty", "large", "small"])
        var read: [UInt8] = []
        while case let piece = try target.get("large", at: read.count, count: 9 << 20), !piece.isEmpty { read += piece }
        let isSame = read == large
        #expect(isSame)
        #expect(try target.get("small", at: 2, count: 100) == Array("xt".utf8))
        #expect(try target.get("empty", at: 0, count: 10) == [])
        try target.put("small", ReplicaContent(Array("other".utf8)))
        #expect(try target.get("small", at: 0, count: 100) == Array("other".utf8))
        try target.remove("large")
        try target.remove("large")
        #expect(try target.list().sorted() == ["empty", "small"])
        #expect(try bucket(server, "s3://copies/a").list() == [], "another prefix")
        // More names than one answer holds.
        for number in 0..<1010 { try target.put("n\(number)", ReplicaContent([])) }
        #expect(try target.list().count == 1012)
    }

    @Test(.enabled(if: BucketServer.canRun))
    func refusalsSayWhatAndWhy() throws {
        let server = try BucketServer()
        defer { server.stop() }
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return "no error"
        }
        let missing = message { _ = try bucket(server, "s3://missing/p").list() }
        #expect(missing.contains("GET s3://missing/p/: 404 NoSuchBucket"), "\(missing)")
        let wrong = message { try bucket(server, secret: "wrong").put("a", ReplicaContent([1])) }
        #expect(wrong.contains("PUT s3://copies/a b/c/a: 403 SignatureDoesNotMatch"), "\(wrong)")
        let gone = message { _ = try bucket(server).get("nothing", at: 0, count: 1) }
        #expect(gone.contains("404 NoSuchKey"), "\(gone)")
        let target = try bucket(server)
        server.stop()
        let silent = message { _ = try target.list() }
        #expect(silent.contains("the server did not answer: no connection to 127.0.0.1"), "\(silent)")
    }

    @Test(.enabled(if: BucketServer.canRun))
    func aLostDiskIsRestoredFromItsBucket() throws {
        let service = try BucketServer()
        defer { service.stop() }
        let server = try RunningServer(
            arguments: ["--replicate-to", "s3://copies/one", "--s3-endpoint", service.url], extra: service.environment)
        defer { server.stop() }
        #expect(try server.shell("kubectl create configmap kept --from-literal=word=canary-44 -n default").exit == 0)
        server.end()  // which copies the end of the log
        #expect(try server.shell("cp -r data/keys keys && rm -rf data").exit == 0)
        let variables = service.environment.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        let store = "\(variables) \(RunningServer.binary ?? "espalier") store"
        let restored = try server.shell(
            "\(store) restore --from s3://copies/one --s3-endpoint \(service.url) --data-dir new --keys-dir keys")
        #expect(restored.output.contains("begins at revision"), "\(restored.error)")
        #expect(try server.shell("\(store) export --data-dir new --keys-dir keys").output.contains("canary-44"))
        let none = try server.shell("\(store) restore --from s3://copies/two --s3-endpoint \(service.url) --data-dir x")
        #expect(none.error.contains("s3://copies/two holds no copy of a store"), "\(none.error)")
    }
}
