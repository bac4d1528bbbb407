internal import APIServer
internal import ArgumentParser
internal import Client
internal import Documents
internal import Glibc
internal import Seams
internal import Store

/// Whose store, and where its keys are: the options of every `espalier store` command.
struct StoreOptions: ParsableArguments {
    @Option(help: "Data directory of the store. Beside a running server, the server is asked.")
    var dataDir: String

    @OptionGroup var keyOptions: KeyOptions

    /// Who holds the store: nobody, or a server that must be asked.
    enum Holder {
        case nobody(any FileLock)
        case server(HTTPClient)
    }

    var keys: KeyProvider { keyOptions.provider(dataDirectory: dataDir) }

    /// Takes the lock of the data directory, or finds the server that has it.
    func holder() throws -> Holder {
        let files = LinuxFileSystem()
        guard try files.exists("\(dataDir)/log") || files.exists(StoreRestoration.marker(of: dataDir)) else {
            throw Files.Failure(description: "\(dataDir) holds no store: there is no \(dataDir)/log")
        }
        do throws(FileError) {
            return .nobody(try files.lock("\(dataDir)/lock"))
        } catch {
            guard error.code == .locked else { throw error }
        }
        let file = "\(dataDir)/kubeconfig"
        guard try files.exists(file) else { throw StoreError.locked(path: dataDir) }
        let endpoint = try Kubeconfig.endpoint(try Files.read(file), file: file, readFile: Files.read)
        return .server(try HTTPClient(endpoint: endpoint))
    }

    /// Opens the store, for as long as `body` runs, without a server.
    func withStore<Result>(
        _ lock: any FileLock, _ body: (Keyspace) async throws -> Result
    ) async throws -> Result {
        lock.release()  // the store takes it itself
        let store = try Keyspace.open(
            directory: dataDir, fileSystem: LinuxFileSystem(), clock: SystemClock(), keys: try await keys.load())
        defer { store.close() }
        return try await body(store)
    }

    /// Asks the server and prints its lines as they come. Returns the last.
    @discardableResult
    static func relay(_ client: HTTPClient, _ target: String, method: String = "GET") async throws -> String {
        let stream = try await client.stream("/debug/store/\(target)", accept: "text/plain", method: method)
        var text: [UInt8] = []
        do {
            while let piece = try await stream.next() {
                text += piece
                Terminal.write(piece, to: STDOUT_FILENO)
            }
        } catch {
            throw Files.Failure(
                description: "the server ended before it was done (\(error.message)); ask again when it is back")
        }
        return text.split(separator: UInt8(ascii: "\n")).last.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

/// Resources by name, as `--seal` lists them: `configmaps,landscapes.espalier.dev`.
enum SealedResources {
    static func parse(_ text: String) throws -> Set<GroupResource> {
        var resources: Set<GroupResource> = []
        for name in text.split(separator: ",") {
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            guard let resource = parts.first, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x2f }) else {
                throw ValidationError(
                    "--seal: expected resources such as configmaps,landscapes.espalier.dev, found \"\(text)\"")
            }
            resources.insert(GroupResource(group: parts.count > 1 ? parts[1] : "", resource: resource))
        }
        return resources
    }
}
