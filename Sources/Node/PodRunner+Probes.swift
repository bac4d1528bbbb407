internal import Documents
internal import Seams
internal import Synchronization

/// Carries out probes. What an answer means is the machine's business.
extension PodRunner {
    func probe(_ kind: ProbeSpecification.Kind, _ container: ContainerSpecification, _ attempt: Int) async {
        guard let probe = container.probes[kind] else { return }
        do {
            try await carryOut(probe.check, timeout: probe.timeout, container, attempt)
            send(.probed(kind, attempt: attempt, isSuccess: true, message: ""), of: container.name)
        } catch {
            send(.probed(kind, attempt: attempt, isSuccess: false, message: "\(error)"), of: container.name)
        }
    }

    /// Does what a probe or a hook asks for, once.
    func carryOut(
        _ check: ProbeSpecification.Check, timeout: Duration, _ container: ContainerSpecification, _ attempt: Int
    ) async throws {
        switch check {
        case .socket(let port, let host):
            let target = try target(port, host, container)
            try await context.probing.connect(host: target.host, port: target.port, timeout: timeout)
        case .get(let path, let port, let host, let headers):
            let target = try target(port, host, container)
            var request = "GET \(path.hasPrefix("/") ? path : "/\(path)") HTTP/1.1\r\n"
            let isHostGiven = headers.contains { $0[0].lowercased() == "host" }
            if !isHostGiven { request += "Host: \(target.host):\(target.port)\r\n" }
            for header in headers { request += "\(header[0]): \(header[1])\r\n" }
            request += "User-Agent: kube-probe/1.32\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            let line = try await context.probing.exchange(
                host: target.host, port: target.port, request: Array(request.utf8), timeout: timeout)
            try judge(line)
        case .command(let words):
            try await run(words, timeout: timeout, container, attempt)
        }
    }

    private func target(
        _ port: String, _ host: String, _ container: ContainerSpecification
    ) throws(ProcessError) -> (host: String, port: Int) {
        let named = container.ports.first { $0.name.isSameBytes(as: port) || String($0.number) == port }
        guard let number = named.map(listeningPort) ?? Int(port), (1...65535).contains(number) else {
            throw ProcessError(message: "the container has no port \(port)")
        }
        let own = address.withLock { $0 }
        // The request leaves from this machine, which reaches more than the pod may.
        guard host.isEmpty || host == own else {
            throw ProcessError(message: "a probe goes to its own pod, not to \(host)")
        }
        return (own, number)
    }

    private func judge(_ line: [UInt8]) throws(ProcessError) {
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count > 1, words[0].starts(with: Array("HTTP/".utf8)),
            let status = Int(String(decoding: words[1], as: UTF8.self))
        else {
            throw ProcessError(message: "the answer is not HTTP: \(String(decoding: line.prefix(80), as: UTF8.self))")
        }
        guard (200..<400).contains(status) else {
            throw ProcessError(message: "HTTP probe failed with statuscode: \(status)")
        }
    }

    /// Runs a command beside the container's process, in its namespaces, with its environment and as its user.
    private func run(
        _ words: [String], timeout: Duration, _ container: ContainerSpecification, _ attempt: Int
    ) async throws(ProcessError) {
        let place = try commandPlace(container, attempt)
        let launch = ProcessLaunch(
            path: context.configuration.shimPath,
            arguments: ["espalier-shim", "exec", "wait"] + place.words + ["--"] + words, environment: place.environment)
        let result = try await context.spawner.run(launch, input: [], timeout: timeout)
        guard result.code == 0 else {
            throw ProcessError(message: "command ended with exit code \(result.code): \(result.text.prefix(200))")
        }
    }
}
