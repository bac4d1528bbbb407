import Testing

/// A server that cannot start says why and what to do, and leaves what is there alone.
@Suite(.serialized, .enabled(if: RunningServer.canRun), .timeLimit(.minutes(2))) struct ServeTests {
    @Test func whatIsTakenIsNamed() throws {
        let server = try RunningServer()
        defer { server.stop() }
        let port = server.url.split(separator: ":").last ?? ""
        let serve = "timeout 30 '\(RunningServer.binary ?? "")' serve --gateway-listen 127.0.0.1:0"
        let busy = try server.shell("\(serve) --data-dir other --listen 127.0.0.1:\(port)")
        #expect(busy.exit == 1)
        #expect(busy.error.contains("cannot listen on 127.0.0.1:\(port)"), "\(busy)")
        #expect(busy.error.contains("--listen names another address"), "\(busy)")
        let locked = try server.shell("\(serve) --data-dir data --listen 127.0.0.1:0")
        #expect(locked.exit == 1)
        #expect(locked.error.contains("data"), "\(locked)")
        // The one that was there first goes on.
        #expect(try server.shell("kubectl get namespaces -o name").output.contains("namespace/default"))
    }

    @Test("a watch of the command line goes on when its server is killed and started again")
    func aWatchOutlivesItsServer() throws {
        let server = try RunningServer()
        defer { server.stop() }
        let seen = try server.shell(
            """
            espalier='\(RunningServer.binary ?? "")'
            touch first second changes errors
            said() { timeout 30 grep -q -m1 "$1" < <(exec tail -q -n +1 -f "$2"); }
            serve=("$espalier" serve --data-dir w --gateway-listen 127.0.0.1:0 --listen)
            "${serve[@]}" 127.0.0.1:0 >>first 2>&1 & pid=$!
            said 'the API is served' first
            port=$(grep -o 'https://127.0.0.1:[0-9]*' first | head -1 | grep -o '[0-9]*$')
            export KUBECONFIG=w/kubeconfig
            "$espalier" get configmaps --watch --data-dir w >>changes 2>>errors & watching=$!
            kubectl create configmap before >/dev/null && said ^before changes
            kill -9 $pid
            "${serve[@]}" 127.0.0.1:$port >>second 2>&1 & pid=$!
            said 'the API is served' second
            kubectl create configmap after >/dev/null && said ^after changes
            kill $watching $pid
            cat changes errors
            """)
        let lines = seen.output.split(whereSeparator: \.isNewline)
        #expect(lines.count { $0.hasPrefix("before") } == 1, "\(seen)")
        #expect(lines.count { $0.hasPrefix("after") } == 1, "\(seen)")
    }
}
