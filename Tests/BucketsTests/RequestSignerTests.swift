import Buckets
import Documents
import Seams
import Testing

/// The examples that AWS published: of S3's own documentation, and of the general test suite.
struct RequestSignerTests {
    private static let host = (name: "host", value: "examplebucket.s3.amazonaws.com")

    private func signature(_ request: RequestSigner.Request, service: String = "s3") -> String {
        let isS3 = service == "s3"
        let credentials = BucketCredentials(
            accessKey: isS3 ? "AKIAIOSFODNN7EXAMPLE" : "AKIDEXAMPLE",
            secretKey: isS3 ? "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" : "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        let time = Instant(rfc3339: isS3 ? "2013-05-24T00:00:00Z" : "2015-08-30T12:36:00Z")
        let headers = RequestSigner(credentials, region: "us-east-1", service: service)
            .headers(for: request, at: time ?? Instant(seconds: 0))
        let authorization = headers.first { $0.name == "authorization" }?.value ?? ""
        return authorization.split(separator: "=").last.map(String.init) ?? ""
    }

    @Test func signsTheExamplesOfS3() {
        #expect(
            signature(.init(method: "GET", path: "/test.txt", headers: [("range", "bytes=0-9"), Self.host]))
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        #expect(
            signature(
                .init(
                    method: "PUT", path: "/test%24file.text",
                    headers: [
                        ("date", "Fri, 24 May 2013 00:00:00 GMT"), Self.host,
                        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                    ], body: Array("Welcome to Amazon S3.".utf8)))
                == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        #expect(
            signature(.init(method: "GET", path: "/", query: [("lifecycle", "")], headers: [Self.host]))
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        #expect(
            signature(
                .init(method: "GET", path: "/", query: [("prefix", "J"), ("max-keys", "2")], headers: [Self.host]))
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func signsTheExamplesOfTheGeneralSuite() {
        let host = (name: "host", value: "example.amazonaws.com")
        func sign(_ method: String, _ query: [(name: String, value: String)] = []) -> String {
            signature(.init(method: method, path: "/", query: query, headers: [host]), service: "service")
        }
        #expect(sign("GET") == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
        #expect(sign("POST") == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        #expect(
            sign("GET", [("Param2", "value2"), ("Param1", "value1")])
                == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
    }

    @Test func aTokenIsSignedToo() {
        let credentials = BucketCredentials(accessKey: "a", secretKey: "b", sessionToken: "t")
        let headers = RequestSigner(credentials, region: "us-east-1").headers(
            for: .init(method: "GET", path: "/", headers: [Self.host]), at: Instant(seconds: 0))
        #expect(headers.contains { $0 == ("x-amz-security-token", "t") })
        #expect(headers.last?.value.contains("x-amz-date;x-amz-security-token,") == true)
    }

    @Test func namesAreEncodedOnce() {
        #expect(RequestSigner.encoded("a b/c~d%é", keeping: "/") == "a%20b/c~d%25%C3%A9")
        #expect(RequestSigner.text(of: [("b", ""), ("a", "x/y"), ("a", "")]) == "a=&a=x%2Fy&b=")
    }
}
