import Glibc
import Synchronization
import Testing

/// An engine that says what a test wants of it: HTTP on a unix socket, a thread for each connection.
final class ScriptedEngine: Sendable {
    enum Reply: Sendable {
        /// Status and body, whole.
        case answer(Int, String)
        /// Exactly these bytes, and then the connection ends.
        case raw([UInt8])
        /// Nothing, until the other side goes.
        case silence
        /// The answer when `open` is called.
        case gated(Int, String)
    }

    let socket: String
    private let listener: Int32
    private let script: @Sendable (String) -> Reply
    private let seen = Mutex<[String]>([])
    private let gate = Mutex(false)
    private let goneCount = Mutex(0)

    /// `script` is handed the head of each request.
    init(_ script: @escaping @Sendable (_ head: String) -> Reply) throws {
        self.script = script
        var template = Array("/tmp/espalier-scripted-XXXXXX".utf8CString)
        socket = "\(String(cString: try #require(mkdtemp(&template))))/engine.sock"
        listener = try #require(UnixSocket.listen(socket))
        Background.run { [listener, weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0 { return }
                guard let server = self else {
                    close(connection)
                    return
                }
                Background.run {
                    server.serve(connection)
                    close(connection)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        unlink(socket)
        rmdir(String(socket.dropLast("/engine.sock".count)))
    }

    /// First lines of the requests so far.
    var requests: [String] { seen.withLock { $0 } }
    /// How many callers hung up before they were answered.
    var gone: Int { goneCount.withLock { $0 } }
    func open() { gate.withLock { $0 = true } }

    private func serve(_ connection: Int32) {
        var head = ""
        while !head.contains("\r\n\r\n") {
            guard let bytes = UnixSocket.read(connection), !bytes.isEmpty else { return }
            head += String(decoding: bytes, as: UTF8.self)
        }
        seen.withLock { $0.append(String(head.prefix { $0 != "\r\n" })) }
        switch script(head) {
        case .answer(let status, let body): UnixSocket.write(connection, Self.bytes(status, body))
        case .raw(let bytes): UnixSocket.write(connection, bytes)
        case .silence: if isGone(connection, orElse: { false }) { goneCount.withLock { $0 += 1 } }
        case .gated(let status, let body):
            if isGone(connection, orElse: { self.gate.withLock { $0 } }) {
                goneCount.withLock { $0 += 1 }
            } else {
                UnixSocket.write(connection, Self.bytes(status, body))
            }
        }
    }

    /// Waits until the other side hangs up: true; or `condition` holds: false.
    private func isGone(_ connection: Int32, orElse condition: () -> Bool) -> Bool {
        while !condition() {
            var poll = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
            if Glibc.poll(&poll, 1, 5) > 0 {
                if UnixSocket.read(connection)?.isEmpty ?? true { return true }
            }
        }
        return false
    }

    static func bytes(_ status: Int, _ body: String) -> [UInt8] {
        Array("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }
}

/// Work on a thread of its own: what blocks must not hold up the tasks.
enum Background {
    private final class Box {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }

    static func run(_ work: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(work)).toOpaque()
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().work() }
                return nil
            }, box)
        precondition(result == 0, "no thread")
        pthread_detach(thread)
    }
}

/// Blocking sockets, as little as the tests need.
enum UnixSocket {
    static func listen(_ path: String) -> Int32? {
        open(path) { Glibc.bind($0, $1, $2) == 0 && Glibc.listen($0, 16) == 0 }
    }

    static func connect(_ path: String) -> Int32? { open(path) { Glibc.connect($0, $1, $2) == 0 } }

    private static func open(
        _ path: String, _ act: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) -> Int32? {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
        let isDone = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                act(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if isDone { return file }
        close(file)
        return nil
    }

    /// Empty at the end, `nil` where the connection broke.
    static func read(_ file: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(file, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    static func write(_ file: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    /// One request without a body; the whole answer as text.
    static func request(_ path: String, _ method: String, _ target: String) -> String {
        guard let file = connect(path) else { return "no connection" }
        defer { close(file) }
        let head = "\(method) \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        write(file, Array(head.utf8))
        var answer: [UInt8] = []
        while let bytes = read(file), !bytes.isEmpty { answer += bytes }
        return String(decoding: answer, as: UTF8.self)
    }
}
