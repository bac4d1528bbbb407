import APIServer
import Documents
import Seams
import Simulation
import Testing

/// Paths and queries as they come from the wire.
@Suite struct RequestTargetTests {
    private func route(_ text: String) throws -> RequestTarget.Route {
        try RequestTarget(parsing: Array(text.utf8)).route
    }

    private func path(
        _ group: String, _ version: String, _ namespace: String?, _ resource: String, _ name: String? = nil,
        _ subresource: String? = nil,
        isWatch: Bool = false
    ) -> RequestTarget.Route {
        .resource(
            ResourcePath(
                group: group, version: version, namespace: namespace, resource: resource, name: name,
                subresource: subresource,
                remainder: [], isWatch: isWatch))
    }

    @Test func findsTheResource() throws {
        #expect(try route("/api/v1/pods") == path("", "v1", nil, "pods"))
        #expect(try route("/api/v1/namespaces") == path("", "v1", nil, "namespaces"))
        #expect(try route("/api/v1/namespaces/a") == path("", "v1", nil, "namespaces", "a"))
        #expect(try route("/api/v1/namespaces/a/status") == path("", "v1", nil, "namespaces", "a", "status"))
        #expect(try route("/api/v1/namespaces/a/pods") == path("", "v1", "a", "pods"))
        #expect(try route("/api/v1/namespaces/a/pods/p/log?follow=true") == path("", "v1", "a", "pods", "p", "log"))
        #expect(
            try route("/apis/apps/v1/namespaces/a/deployments/d/scale")
                == path("apps", "v1", "a", "deployments", "d", "scale"))
        #expect(try route("/apis/apps/v1/") == .resources(group: "apps", version: "v1"))
    }

    @Test func findsTheOldFormOfAWatch() throws {
        #expect(try route("/api/v1/watch/pods") == path("", "v1", nil, "pods", isWatch: true))
        #expect(try route("/api/v1/watch/namespaces/a") == path("", "v1", nil, "namespaces", "a", isWatch: true))
        #expect(
            try route("/apis/apps/v1/watch/namespaces/a/deployments/d")
                == path("apps", "v1", "a", "deployments", "d", isWatch: true))
        #expect(try route("/apis/example.com/v1/watch") == path("example.com", "v1", nil, "watch"))
    }

    @Test func findsTheRest() throws {
        #expect(try route("/api") == .coreVersions)
        #expect(try route("/apis/") == .groups)
        #expect(try route("/apis/apps") == .group("apps"))
        #expect(try route("/openapi/v3/apis/apps/v1?hash=1") == .openAPIDocument("apis/apps/v1"))
        #expect(try route("/readyz/store?verbose") == .health("readyz", check: "store"))
        #expect(try route("/") == .unknown)
        #expect(try route("/nothing/at/all") == .unknown)
    }

    @Test func decodesQueries() throws {
        let query = try RequestTarget(parsing: Array("/api?labelSelector=a%3Db%2Cc+in+(d)&x&watch=1&pretty=false".utf8))
            .query
        #expect(query["labelSelector"] == "a=b,c in (d)")
        #expect(query.has("x"))
        #expect(query.flag("watch"))
        #expect(!query.flag("pretty"))
        #expect(!query.flag("missing"))
    }

    @Test(arguments: ["", "api", "http://x/api", "/%", "/%4", "/%zz", "/a/../b", "/a/./b", "/%00", "/%ff", "/?a=%"])
    func refuses(_ text: String) {
        #expect(throws: APIError.self) { try RequestTarget(parsing: Array(text.utf8)) }
    }

    /// Random bytes, and random damage to paths that are right: never a trap.
    @Test func neverTraps() {
        let random = SeededRandom(seed: 11)
        let seeds = [
            "/api/v1/namespaces/a/pods/p/log?follow=true&x=%41", "/apis/apps/v1/deployments?limit=5",
            "/openapi/v3/api/v1",
        ]
        for _ in 0..<20_000 {
            var bytes = Array(seeds[random.next(below: seeds.count)].utf8)
            for _ in 0..<random.next(below: 6) {
                let byte = UInt8(truncatingIfNeeded: random.next())
                if random.next(below: 2) == 0, !bytes.isEmpty {
                    bytes[random.next(below: bytes.count)] = byte
                } else {
                    bytes.insert(byte, at: random.next(below: bytes.count + 1))
                }
            }
            _ = try? RequestTarget(parsing: bytes)  // the test is that it returns
        }
    }
}
