internal import Documents
package import Logging
internal import NIOHTTP1
package import Seams

/// What an engine says about itself.
package struct EngineFacts: Sendable, Equatable {
    /// `podman` or `docker`.
    package var name: String
    /// `4.3.1`.
    package var version: String
    /// The newest version of the common interface it speaks, and the oldest.
    package var apiVersion: String
    package var minimumAPIVersion: String
    package var socket: String
    /// `overlay` of Podman, `overlay2` of Docker; `overlayfs` is containerd's, which shows no layers.
    package var storageDriver: String

    /// The version of the interface the node speaks where the engine has it, else the nearest one.
    var spokenVersion: String {
        let wanted = [1, 41]
        let (oldest, newest) = (Self.numbers(minimumAPIVersion), Self.numbers(apiVersion))
        let bounded = newest.lexicographicallyPrecedes(wanted) ? newest : wanted
        let spoken = bounded.lexicographicallyPrecedes(oldest) ? oldest : bounded
        return spoken.map(String.init).joined(separator: ".")
    }

    private static func numbers(_ text: String) -> [Int] {
        let numbers = text.split(separator: ".").compactMap { Int($0) }
        return numbers.count == 2 ? numbers : [1, 41]
    }
}

extension ImageEngine {
    /// Who the engine is, asked anew with every call.
    package func facts() async throws(ImageError) -> EngineFacts {
        var facts = try await facts(deadline: deadlines.call)
        facts.storageDriver = try await call(.GET, "/info").expect(200, .inspect)["Driver"]?.stringValue ?? ""
        return facts
    }

    /// Without the storage driver, which takes an engine longer to say.
    func facts(deadline: Duration) async throws(ImageError) -> EngineFacts {
        let request = EngineRequest(target: "/version", deadline: deadline)
        let answer = try await whole(request).expect(200, .unreachable)
        guard let apiVersion = answer["ApiVersion"]?.stringValue else {
            throw .unreachable(socket, "what answers there is no container engine")
        }
        let parts = (answer["Components"]?.arrayValue ?? []).compactMap { $0["Name"]?.stringValue }
        return EngineFacts(
            name: parts.contains { $0.contains("Podman") } ? "podman" : "docker",
            version: answer["Version"]?.stringValue ?? "", apiVersion: apiVersion,
            minimumAPIVersion: answer["MinAPIVersion"]?.stringValue ?? "", socket: socket, storageDriver: "")
    }

    /// The first engine that answers, of the usual places. Its error says what was tried.
    package static func discover(
        environment: (String) -> String?, owner: String, clock: any Clock, logger: Logger,
        deadlines: EngineDeadlines = EngineDeadlines()
    ) async throws(ImageError) -> ImageEngine {
        var tried: [String] = []
        for socket in sockets(environment) {
            let engine = ImageEngine(socket: socket, owner: owner, clock: clock, logger: logger, deadlines: deadlines)
            do throws(ImageError) {
                _ = try await engine.facts(deadline: deadlines.discovery)
                return engine
            } catch {
                if error.code == .cancelled { throw error }
                tried.append(error.message)
            }
        }
        throw ImageError(.unreachable, tried.joined(separator: "\n"))
    }

    /// Where an engine's socket may be: what the environment names alone, where it names something.
    static func sockets(_ environment: (String) -> String?) -> [String] {
        let named = ["CONTAINER_HOST", "DOCKER_HOST"].compactMap(environment).filter { !$0.isEmpty }
        let paths = named.compactMap { $0.hasPrefix("unix://") ? String($0.dropFirst("unix://".count)) : nil }
        if !paths.isEmpty { return paths }
        let own = environment("XDG_RUNTIME_DIR").map { ["\($0)/podman/podman.sock"] } ?? []
        return ["/run/podman/podman.sock"] + own + ["/var/run/docker.sock"]
    }
}
