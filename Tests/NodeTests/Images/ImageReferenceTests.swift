import Node
import Testing

private let zeros = "sha256:" + String(repeating: "0", count: 64)
private let identifier = String(repeating: "1a", count: 32)
private let long = String(repeating: "a", count: 255)

/// Names of images, with the cases that Kubernetes (`pkg/util/parsers`) and Docker (`distribution/reference`) test.
struct ImageReferenceTests {
    @Test(
        arguments: [
            ("root", "docker.io/library/root", "latest", nil),
            ("root:tag", "docker.io/library/root", "tag", nil),
            ("root@\(zeros)", "docker.io/library/root", nil, zeros),
            ("user/repo", "docker.io/user/repo", "latest", nil),
            ("user/repo:tag", "docker.io/user/repo", "tag", nil),
            ("user/repo@\(zeros)", "docker.io/user/repo", nil, zeros),
            ("url:5000/repo", "url:5000/repo", "latest", nil),
            ("url:5000/repo:tag", "url:5000/repo", "tag", nil),
            ("url:5000/repo@\(zeros)", "url:5000/repo", nil, zeros),
            ("url:5000/repo:latest@\(zeros)", "url:5000/repo", "latest", zeros),
            ("test.com:tag", "docker.io/library/test.com", "tag", nil),
            ("test.com:5000", "docker.io/library/test.com", "5000", nil),
            ("lowercase:Uppercase", "docker.io/library/lowercase", "Uppercase", nil),
            ("b.gcr.io/test.com/my-app:test.com", "b.gcr.io/test.com/my-app", "test.com", nil),
            ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage", "xn--n3h.com", nil),
            ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo", "5050", nil),
            ("[2001:db8::1]/repo", "[2001:db8::1]/repo", "latest", nil),
            ("[2001:db8::1]:5000/repo:tag@\(zeros)", "[2001:db8::1]:5000/repo", "tag", zeros),
            ("[::1]:5000/repo", "[::1]:5000/repo", "latest", nil),
            ("localhost/fooo/bar", "localhost/fooo/bar", "latest", nil),
            ("LOCALDOMAIN/debian", "LOCALDOMAIN/debian", "latest", nil),
            ("index.docker.io/debian", "docker.io/library/debian", "latest", nil),
            ("docker.io/debian", "docker.io/library/debian", "latest", nil),
            ("docker.io/library/foo/bar", "docker.io/library/foo/bar", "latest", nil),
            ("docker---rules/dock__er", "docker.io/docker---rules/dock__er", "latest", nil),
            ("docker.io/\(identifier)", "docker.io/library/\(identifier)", "latest", nil),
            ("example.com/\(long):tag", "example.com/\(long)", "tag", nil),
        ] as [(String, String, String?, String?)])
    func namesAreMadeComplete(_ text: String, _ name: String, _ tag: String?, _ digest: String?) throws {
        let reference = try ImageReference(text)
        #expect(reference.name == name)
        #expect(reference.tag == tag)
        #expect(reference.digest == digest)
    }

    @Test(arguments: [
        ("", "invalid reference format"), (":justtag", "invalid reference format"),
        ("@\(zeros)", "invalid reference format"),
        ("http://root", "invalid reference format"), ("https://github.com/docker/docker", "invalid reference format"),
        ("ROOT", "invalid reference format: repository name (library/ROOT) must be lowercase"),
        ("docker/Docker", "invalid reference format: repository name (docker/Docker) must be lowercase"),
        ("test:5000/Uppercase/a:tag", "invalid reference format: repository name (Uppercase/a) must be lowercase"),
        (identifier, "invalid repository name (\(identifier)), cannot specify 64-byte hexadecimal strings"),
        ("domain.com/\(long)a:tag", "repository name must not be more than 255 characters"),
        ("repo@sha256:ffffffffffffffffffffffffffffffffff", "invalid checksum digest length"),
        ("name@other:\(String(repeating: "f", count: 64))", "unsupported digest algorithm"),
        ("repo@sha256:\(String(repeating: "F", count: 64))", "invalid checksum digest format"),
        ("repo@sha256:short", "invalid reference format"),
        ("aa/asdf$$^/aa", "invalid reference format"), ("-docker", "invalid reference format"),
        ("docker///docker", "invalid reference format"), ("docker/", "invalid reference format"),
        ("docker-/docker", "invalid reference format"), ("____/____", "invalid reference format"),
        ("dock..er/docker", "invalid reference format"), ("dock_.er/docker", "invalid reference format"),
        ("[fc00::1]", "invalid reference format"), ("[fc00::1]:5000", "invalid reference format"),
        ("fc00::1:5000/debian", "invalid reference format"), ("[fe80::1%eth0]:5000/debian", "invalid reference format"),
        ("[2001:db8:3:4::192.0.2.33]:5000/debian", "invalid reference format"),
        ("a:\(String(repeating: "t", count: 129))", "invalid reference format"),
        ("image name", "invalid reference format"), ("a:b:c", "invalid reference format"),
    ])
    func whatIsNoNameIsRefusedInUpstreamsWords(_ text: String, _ why: String) {
        let error = #expect(throws: ImageError.self) { try ImageReference(text) }
        #expect(error?.code == .invalidName)
        #expect(error?.reason == "InvalidImageName")
        #expect(
            error?.message
                == "Failed to apply default image tag \"\(text)\": couldn't parse image reference \"\(text)\": \(why)")
    }

    @Test(arguments: [
        ("nginx", PullPolicy.always), ("nginx:latest", .always), ("a.io/b/nginx", .always),
        ("nginx:latest@\(zeros)", .always), ("nginx:1.25", .ifNotPresent), ("nginx@\(zeros)", .ifNotPresent),
    ])
    func whatMovesIsAskedForAlways(_ text: String, _ policy: PullPolicy) throws {
        #expect(PullPolicy(default: try ImageReference(text)) == policy)
    }

    @Test func aDigestAloneSaysWhichImage() throws {
        #expect(try ImageReference("a.io/b:1@\(zeros)").engineName == "a.io/b@\(zeros)")
        #expect(try ImageReference("a.io/b:1@\(zeros)").description == "a.io/b:1@\(zeros)")
        #expect(try ImageReference("nginx").engineName == "docker.io/library/nginx:latest")
    }
}
