import Buckets
import Client
import Testing

/// What the user and the environment say, read as other clients of AWS read it.
struct BucketSettingsTests {
    private static let keys = ["AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"]

    private func settings(
        _ address: String = "s3://b/p", endpoint: String? = nil, _ environment: [String: String] = keys,
        files: [String: String] = [:]
    ) throws(BucketError) -> BucketSettings {
        try BucketSettings(
            address, endpoint: endpoint, environment: { environment[$0] },
            readFile: { files[$0].map { Array($0.utf8) } })
    }

    @Test func readsAddresses() throws {
        let plain = try settings("s3://my.bucket-1")
        #expect(plain.bucket == "my.bucket-1" && plain.prefix == "" && plain.region == "us-east-1")
        #expect(plain.endpoint.authority == "s3.us-east-1.amazonaws.com")
        #expect(try settings("s3://b/one//two/").prefix == "one/two/")
        let own = try settings(endpoint: "http://127.0.0.1:9000/", Self.keys.merging(["AWS_REGION": "eu"]) { $1 })
        #expect(own.endpoint.authority == "127.0.0.1:9000" && own.endpoint.isPlain && own.region == "eu")
        #expect(try settings(endpoint: "https://[::1]:9000").endpoint.authority == "[::1]:9000")
        #expect(try settings(endpoint: "https://minio.example").endpoint.authority == "minio.example")
        for wrong in ["s3://", "s3:///p", "b/p", "s3://a b/p", "s3://a?b"] {
            #expect(throws: BucketError.self, "\(wrong)") { try settings(wrong) }
        }
        for wrong in ["ftp://a", "https://", "https://a:0", "https://a:x", "https://a/path", "a:9000"] {
            #expect(throws: BucketError.self, "\(wrong)") { try settings(endpoint: wrong) }
        }
    }

    @Test func findsCredentials() throws {
        let own = BucketCredentials(accessKey: "id", secretKey: "secret")
        #expect(try settings().credentials() == own)
        let file = """
            [other]
            aws_access_key_id = no
            [default]\r
            # aws_access_key_id = no
            aws_access_key_id=id\r
              aws_secret_access_key = secret
            aws_session_token = a=b
            """
        let fromFile = try settings("s3://b", ["HOME": "/h"], files: ["/h/.aws/credentials": file])
        #expect(
            try fromFile.credentials() == BucketCredentials(accessKey: "id", secretKey: "secret", sessionToken: "a=b"))
        let none = #expect(throws: BucketError.self) { try settings("s3://b", ["HOME": "/h"]) }
        #expect(none?.description.contains("AWS_ACCESS_KEY_ID") == true)
        #expect(none?.description.contains("/h/.aws/credentials") == true)
        let profile = ["AWS_SHARED_CREDENTIALS_FILE": "/f", "AWS_PROFILE": "third"]
        let missing = #expect(throws: BucketError.self) { try settings("s3://b", profile, files: ["/f": file]) }
        #expect(missing?.description.contains("[third]") == true)
    }
}
