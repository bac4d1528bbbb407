import Documents
import Glibc
import Node
import Seams
import Synchronization
import Testing

/// The real engines, each on a store of its own, and a real registry that asks who one is.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(
        if: !EngineKind.available.isEmpty,
        "needs root, podman (or dockerd beside it), docker-registry and busybox-static"))
struct ContainerEngineTests {
    @Test(arguments: EngineKind.available)
    func imagesArePulledByTagAndDigestWithTheRightPassword(_ kind: EngineKind) async throws {
        let registry = try await TestRegistry()
        try registry.fill()
        let tested = try TestEngine(kind, registryPort: registry.port)
        try await tested.start()
        let engine = tested.engine()
        let reference = try registry.reference("team/base:1")
        let right = try registry.credentials()

        let facts = try await engine.facts()
        #expect(facts.name == kind.rawValue && facts.socket == tested.socket && !facts.version.isEmpty)
        #expect(facts.storageDriver == (kind == .podman ? "overlay" : "overlay2"))

        let never = await #expect(throws: ImageError.self) {
            try await engine.image(reference, policy: .never, credentials: right)
        }
        #expect(never?.reason == "ErrImageNeverPull")
        for credentials in [try registry.credentials(password: "wrong"), RegistryCredentials()] {
            let error = await #expect(throws: ImageError.self) {
                try await engine.image(reference, policy: .ifNotPresent, credentials: credentials)
            }
            #expect(error?.reason == "ErrImagePull")
            let words = ["unauthorized: authentication required", "no basic auth credentials"]
            #expect(words.contains { error?.message.contains($0) == true }, "\(error?.message ?? "")")
            #expect(error?.message.contains("wrong") == false)
        }
        let missing = await #expect(throws: ImageError.self) {
            try await engine.image(try registry.reference("team/base:9"), policy: .always, credentials: right)
        }
        #expect(missing?.reason == "ErrImagePull")
        #expect(missing?.message.contains("manifest unknown") == true, "\(missing?.message ?? "")")

        let pulled = try await engine.image(reference, policy: .ifNotPresent, credentials: right)
        #expect(pulled.pullTime != nil && pulled.id.hasPrefix("sha256:") && pulled.id.count == 71)
        #expect(pulled.command == ["/bin/busybox"] && pulled.user == "1000:1000" && pulled.architecture != "")
        #expect(pulled.layers.count == 1)
        #expect(Program.text("\(pulled.layers[0])/file") == "lower")
        #expect(pulled.statusID.hasPrefix(reference.name + "@sha256:"))

        // What is there needs no registry and no password, but for `Always`.
        let again = try await engine.image(reference, policy: .ifNotPresent)
        #expect(again.pullTime == nil && again.id == pulled.id)
        _ = try await engine.image(reference, policy: .never)
        await #expect(throws: ImageError.self) { try await engine.image(reference, policy: .always) }
        #expect(try await engine.image(reference, policy: .always, credentials: right).pullTime != nil)

        #expect(try await engine.list().map(\.id) == [pulled.id])
        #expect(try await engine.list()[0].names.contains(reference.description))
        try await engine.remove(imageID: pulled.id)
        try await engine.remove(imageID: pulled.id)
        #expect(try await engine.list() == [])
        #expect(try await engine.image(id: pulled.id, reference: reference) == nil)

        let byDigest = try ImageReference(pulled.statusID)
        let found = try await engine.image(byDigest, policy: .ifNotPresent, credentials: right)
        #expect(found.id == pulled.id && found.statusID == pulled.statusID)
        #expect(try await engine.image(byDigest, policy: .never).id == pulled.id)
        try await engine.remove(imageID: pulled.id)
        #expect(try await engine.list() == [])
    }

    @Test(arguments: EngineKind.available)
    func anImageIsBuiltAndItsLayersAreInOrder(_ kind: EngineKind) async throws {
        let tested = try TestEngine(kind)
        try await tested.start()
        let engine = tested.engine()
        let context = "\(tested.folder)/context"
        let deep = "deep/" + String(repeating: "folder-with-a-long-name/", count: 8)
        mkdir(context, 0o755)
        try Program.run("/bin/mkdir", ["-p", "\(context)/\(deep)"], log: "\(tested.folder)/mkdir.log")
        try Program.run("/bin/cp", ["/bin/busybox", context], log: "\(tested.folder)/cp.log")
        try Program.write("lower", to: "\(context)/first")
        try Program.write("upper", to: "\(context)/second")
        try Program.write("far down", to: "\(context)/\(deep)/leaf")
        symlink("../first", "\(context)/deep/link")
        mkfifo("\(context)/pipe", 0o600)
        try Program.write(
            """
            FROM scratch
            ARG VERSION=none
            ENV VERSION=$VERSION
            COPY busybox /bin/busybox
            COPY first /file
            COPY deep /deep
            EXPOSE 8080/tcp
            VOLUME /data
            USER 1000:1000
            WORKDIR /srv
            STOPSIGNAL SIGINT
            ENTRYPOINT ["/bin/busybox"]
            CMD ["httpd", "-f"]

            """, to: "\(context)/Containerfile")
        let lines = Mutex<[String]>([])
        let base = try await engine.build(
            context: .folder(context), tag: try ImageReference("web:1"), arguments: ["VERSION": "7 & \"more\""],
            onLine: { line in lines.withLock { $0.append(line) } })
        #expect(base.entrypoint == ["/bin/busybox"] && base.command == ["httpd", "-f"])
        #expect(base.environment.contains("VERSION=7 & \"more\""))
        #expect(base.user == "1000:1000" && base.workingDirectory == "/srv" && base.stopSignal == "SIGINT")
        #expect(base.exposedPorts == ["8080/tcp"] && base.volumes == ["/data"])
        let log = lines.withLock { $0 }
        #expect(log.contains { $0.lowercased().contains("step 1/13") && $0.hasSuffix("FROM scratch") }, "\(log)")
        #expect(log.allSatisfy { !$0.contains("\n") })

        try Program.write("FROM docker.io/library/web:1\nCOPY second /file\n", to: "\(context)/Other")
        let image = try await engine.build(
            context: .folder(context), containerfile: "Other", tag: try ImageReference("web:2"), onLine: { _ in })
        #expect(image.layers.count > base.layers.count)
        #expect(image.layers.suffix(base.layers.count) == base.layers[...])
        #expect(Program.text("\(image.layers[0])/file") == "upper")

        // What the node does with them: the upper file hides the lower one, the rest shows through.
        let mounted = "\(tested.folder)/mounted"
        mkdir(mounted, 0o755)
        let lower = "lowerdir=" + image.layers.joined(separator: ":")
        try #require(mount("overlay", mounted, "overlay", UInt(MS_RDONLY), lower) == 0)
        defer { umount2(mounted, Int32(MNT_DETACH)) }
        #expect(Program.text("\(mounted)/file") == "upper")
        #expect(Program.text("\(mounted)/\(deep)leaf") == "far down")
        #expect(access("\(mounted)/bin/busybox", X_OK) == 0)
        #expect(readlinkText("\(mounted)/deep/link") == "../first")

        // The name is the one a pod would use.
        #expect(try await engine.image(try ImageReference("web:2"), policy: .ifNotPresent).id == image.id)
    }

    @Test(arguments: EngineKind.available)
    func aBuildThatFailsSaysWhereWithItsLastLines(_ kind: EngineKind) async throws {
        let tested = try TestEngine(kind)
        try await tested.start()
        let context = "\(tested.folder)/context"
        mkdir(context, 0o755)
        let engine = tested.engine()
        let absent = await #expect(throws: ImageError.self) {
            try await engine.build(context: .folder(context), tag: try ImageReference("web:1"), onLine: { _ in })
        }
        #expect(absent?.message == "expected a file Dockerfile in \(context), found none")
        try Program.write("FROM scratch\nCOPY nothing-here /\n", to: "\(context)/Dockerfile")
        let error = await #expect(throws: ImageError.self) {
            try await engine.build(context: .folder(context), tag: try ImageReference("web:1"), onLine: { _ in })
        }
        #expect(error?.code == .build)
        #expect(error?.message.contains("FROM scratch") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("nothing-here") == true, "\(error?.message ?? "")")
        // What is sent breaks off: the engine must not take it for the whole.
        let broken = await #expect(throws: ImageError.self) {
            try await engine.build(
                context: .tar { () throws(ImageError) in throw ImageError(.build, "the upload ended") },
                tag: try ImageReference("web:1"), onLine: { _ in })
        }
        #expect(broken?.message.hasSuffix("the upload ended") == true)
    }

    @Test(arguments: EngineKind.available)
    func aHeldImageSurvivesPruningAndRemoval(_ kind: EngineKind) async throws {
        let tested = try TestEngine(kind)
        try await tested.start()
        let engine = tested.engine()
        let reference = try ImageReference("held:1")
        let image = try await build(reference, content: "1", by: engine, in: tested)
        try await engine.hold(imageID: image.id)
        try await engine.hold(imageID: image.id)
        prune(tested, image.id)
        let error = await #expect(throws: ImageError.self) { try await engine.remove(imageID: image.id) }
        #expect(error?.code == .inUse)
        let kept = try #require(try await engine.image(id: image.id, reference: reference))
        #expect(kept.layers == image.layers && Program.text("\(kept.layers[0])/file") == "1")

        // Holders of other servers are theirs, and those of images in use stay.
        let other = ImageEngine(socket: tested.socket, owner: "other", clock: SystemClock(), logger: silentLogger)
        try await other.hold(imageID: image.id)
        try await engine.release(keeping: [image.id])
        try await engine.release(keeping: [])
        prune(tested, image.id)
        #expect(try await engine.image(id: image.id, reference: reference) != nil)
        try await other.release(keeping: [])
        prune(tested, image.id)
        #expect(try await engine.image(id: image.id, reference: reference) == nil)
        let gone = await #expect(throws: ImageError.self) { try await engine.hold(imageID: image.id) }
        #expect(gone?.code == .notFound, "\(gone?.message ?? "")")
    }

    @Test(arguments: EngineKind.available)
    func anEngineThatIsKilledIsMissedAndUsedAgainAfterItsStart(_ kind: EngineKind) async throws {
        let silent = try #require(LoopbackPort.listen())
        defer { close(silent.file) }
        let tested = try TestEngine(kind, registryPort: silent.port)
        try await tested.start()
        let engine = tested.engine()
        let image = try await build(try ImageReference("here:1"), content: "1", by: engine, in: tested)
        let reference = try ImageReference("127.0.0.1:\(silent.port)/never:1")
        let pull = Task { try await engine.image(reference, policy: .always) }
        var poll = pollfd(fd: silent.file, events: Int16(POLLIN), revents: 0)
        #expect(Glibc.poll(&poll, 1, 30_000) == 1, "the pull has reached the registry")
        // A pull that hangs holds up nobody.
        #expect(try await engine.image(try ImageReference("here:1"), policy: .never).id == image.id)
        tested.kill()
        let error = await #expect(throws: ImageError.self) { try await pull.value }
        #expect(error?.code == .unreachable && error?.reason == "ErrImagePull", "\(error?.message ?? "")")
        #expect(error?.message.contains(tested.socket) == true)
        let gone = await #expect(throws: ImageError.self) { try await engine.list() }
        #expect(gone?.code == .unreachable)
        #expect(gone?.message.contains("Connection refused; start it") == true, "\(gone?.message ?? "")")
        try await tested.start()
        #expect(try await engine.image(try ImageReference("here:1"), policy: .never) == image)
    }

    @Test func aSavedImageIsLoaded() async throws {
        let tested = try TestEngine(.podman)
        try await tested.start()
        let engine = tested.engine()
        let image = try await build(try ImageReference("saved:1"), content: "1", by: engine, in: tested)
        let archive = "\(tested.folder)/saved.tar"
        try tested.podman("save", "-o", archive, "docker.io/library/saved:1")
        try await engine.remove(imageID: image.id)
        let file = open(archive, O_RDONLY)
        defer { close(file) }
        let said = try await engine.load { () throws(ImageError) in
            let bytes = UnixSocket.read(file) ?? []
            return bytes.isEmpty ? nil : bytes
        }
        #expect(said.contains("saved:1"))
        #expect(try await engine.image(try ImageReference("saved:1"), policy: .never).id == image.id)
    }

    /// An image of one file.
    private func build(
        _ reference: ImageReference, content: String, by engine: ImageEngine, in tested: TestEngine
    ) async throws -> Image {
        let context = "\(tested.folder)/context-\(content)"
        mkdir(context, 0o755)
        try Program.write(content, to: "\(context)/file")
        try Program.write("FROM scratch\nCOPY file /file\nVOLUME /data\n", to: "\(context)/Containerfile")
        return try await engine.build(context: .folder(context), tag: reference, onLine: { _ in })
    }

    /// What a person does to make room: everything that no container uses, and this image by name.
    private func prune(_ tested: TestEngine, _ id: String) {
        switch tested.kind {
        case .podman:
            _ = try? tested.podman("image", "prune", "-af", mayFail: true)
            _ = try? tested.podman("rmi", id, mayFail: true)
        case .docker:
            let all = "%7B%22dangling%22%3A%5B%22false%22%5D%7D"
            _ = UnixSocket.request(tested.socket, "POST", "/v1.41/images/prune?filters=\(all)")
            _ = UnixSocket.request(tested.socket, "DELETE", "/v1.41/images/\(id)")
        }
    }

    private func readlinkText(_ path: String) -> String {
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &target, target.count)
        return String(decoding: target.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
