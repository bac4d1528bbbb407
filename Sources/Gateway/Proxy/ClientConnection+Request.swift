internal import NIOCore

extension ClientConnection {
    /// What the bytes in the buffer came to.
    enum HeadOutcome {
        case incomplete
        case violation(HTTPViolation)
        /// A head of so many bytes that gets an answer from the gateway itself.
        case refused(length: Int, status: Int, text: String, keepsAlive: Bool)
        case accepted(length: Int, exchange: Exchange)
    }

    /// Reads a head, finds where it goes, and writes the head that goes there.
    func readHead(_ bytes: UnsafeRawBufferPointer) -> HeadOutcome {
        let length: Int
        do throws(HTTPViolation) {
            guard let end = try scan.end(in: bytes) else { return .incomplete }
            length = end
            try loop.requestHead.parse(bytes, length: length)
        } catch { return .violation(error) }
        let keepsAlive = loop.requestHead.keepsAlive && !loop.isDraining && !isInputClosed
        let keepsAliveUnread = keepsAlive && loop.requestHead.framing == .none
        guard let found = loop.index.rule(for: loop.requestHead, bytes) else {
            if !loop.hasTable {
                return .refused(
                    length: length, status: 503, text: "the gateway has just started and knows no routes yet\n",
                    keepsAlive: keepsAliveUnread)
            }
            let host = RouteIndex.hostName(loop.requestHead.authority.of(bytes)).lowercasedText()
            let path = String(loop.requestHead.path.text(bytes).prefix(200))
            return .refused(
                length: length, status: 404, text: "no route for host \"\(host)\" and path \"\(path)\"\n",
                keepsAlive: keepsAliveUnread)
        }
        let rule = loop.rules[found.rule]
        guard let backend = rule.drawBackend() else {
            return .refused(
                length: length, status: 503, text: "route \(rule.rule.name) has no backend with a weight above zero\n",
                keepsAlive: keepsAliveUnread)
        }
        if backend.isMissing {
            return .refused(
                length: length, status: 500, text: "backend \(backend.name) does not exist\n",
                keepsAlive: keepsAliveUnread)
        }
        let isUpgrade = loop.requestHead.wantsUpgrade(bytes)
        loop.scratch.clear()
        HeadWriter.write(
            loop.requestHead, bytes,
            HeadWriter.RequestChange(
                rewrite: rule.rule.rewrite, prefix: found.prefix, isUpgrade: isUpgrade, client: clientAddress),
            into: &loop.scratch)
        let exchange = Exchange(
            rule: rule.rule, backend: backend, head: loop.requestHead, isUpgrade: isUpgrade, keepsAlive: keepsAlive,
            requestBytes: loop.scratch)
        return .accepted(length: length, exchange: exchange)
    }

    /// Starts a request whose head is written, with the body bytes that are there.
    func start(_ exchange: Exchange) {
        self.exchange = exchange
        phase = .exchange
        exchange.backend.counters.requests += 1
        deadline = loop.now + loop.timeouts.bodyStall
        if !exchange.request.isDone, buffer.readableBytes > 0 {
            var bytes = buffer
            buffer = ByteBuffer()
            guard let body = takeBody(of: exchange, from: &bytes) else { return }
            buffer = bytes
            if body.readableBytes <= GatewayLimits.coalescedBodyBytes {
                exchange.requestBytes.writeImmutableBuffer(body)
            } else {
                exchange.waiting.append(body)
            }
        }
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        dispatch(exchange)
    }

    /// Splits off the bytes that belong to the request's body; `nil` where they broke the rules and the request failed.
    private func takeBody(of exchange: Exchange, from bytes: inout ByteBuffer) -> ByteBuffer? {
        let outcome: Result<Int, HTTPViolation> = bytes.withUnsafeReadableBytes { pointer in
            do throws(HTTPViolation) { return .success(try exchange.request.consume(pointer)) } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let count): return bytes.readSlice(length: count)
        case .failure(let violation):
            bytes.clear()
            fail(violation.status, violation.reason + "\n")
            return nil
        }
    }

    /// Body bytes that came after the head.
    func forwardBody(_ bytes: ByteBuffer, _ exchange: Exchange) {
        var bytes = bytes
        guard let body = takeBody(of: exchange, from: &bytes) else { return }
        if bytes.readableBytes > 0 { buffer = bytes }
        if let upstream = exchange.upstream {
            exchange.isBeyondReplay = true
            upstream.write(body)
        } else {
            exchange.waiting.append(body)
        }
        awaitNext(exchange)
    }

    /// Sets how long the next thing may take: more of the body, or the response.
    private func awaitNext(_ exchange: Exchange) {
        if exchange.hasResponseStarted { return }
        if !exchange.request.isDone {
            deadline = loop.now + loop.timeouts.bodyStall
        } else if exchange.rule.backendTimeoutMilliseconds > 0 {
            deadline = .now() + .milliseconds(Int64(exchange.rule.backendTimeoutMilliseconds))
        } else {
            deadline = loop.now + loop.timeouts.responseHead
        }
    }

    // MARK: Endpoints

    /// Picks an endpoint and sends the request to it, on a pooled connection where that is safe.
    func dispatch(_ exchange: Exchange) {
        guard let endpoint = exchange.backend.pick(now: loop.now, except: exchange.failed) else {
            return fail(503, "backend \(exchange.backend.name) has no ready endpoint\n")
        }
        exchange.endpoint = endpoint
        endpoint.inFlight += 1
        if !exchange.needsFreshConnection {
            let oldest = exchange.isIdempotent ? loop.timeouts.upstreamIdle : loop.timeouts.upstreamIdleForUnsafe
            if let upstream = endpoint.takeIdle(usedAfter: loop.now - oldest), upstream.isUsable {
                return send(exchange, on: upstream)
            }
        }
        UpstreamConnection.connect(to: endpoint, on: loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let upstream):
                guard self.exchange === exchange, exchange.endpoint === endpoint, upstream.isUsable else {
                    upstream.release(reusable: self.exchange !== exchange, now: self.loop.now)
                    if self.exchange === exchange { self.onRefused(exchange, endpoint) }
                    return
                }
                self.send(exchange, on: upstream)
            case .failure:
                if self.exchange === exchange { self.onRefused(exchange, endpoint) }
            }
        }
    }

    private func send(_ exchange: Exchange, on upstream: UpstreamConnection) {
        exchange.upstream = upstream
        exchange.isOnReusedConnection = upstream.isReused
        upstream.attach(self)
        if exchange.waiting.isEmpty {
            upstream.writeAndFlush(exchange.requestBytes)
        } else {
            upstream.write(exchange.requestBytes)
            for body in exchange.waiting { upstream.write(body) }
            upstream.flush()
            exchange.waiting = []
            exchange.isBeyondReplay = true
        }
        awaitNext(exchange)
        resumeReading()
    }

    /// An endpoint accepted no connection, so the request has not been sent: another may take it, or the same a little
    /// later, when its process is just being replaced.
    private func onRefused(_ exchange: Exchange, _ endpoint: Endpoint) {
        endpoint.inFlight -= 1
        endpoint.suspectUntil = loop.now + loop.timeouts.suspect
        exchange.endpoint = nil
        exchange.failed.append(endpoint)
        let now = NIODeadline.now()
        let since = exchange.troubledSince ?? now
        exchange.troubledSince = since
        let hasOthers = exchange.backend.endpoints.contains { other in !exchange.failed.contains { $0 === other } }
        if hasOthers, exchange.failed.count < GatewayLimits.connectAttempts { return dispatch(exchange) }
        guard now < since + loop.timeouts.connectPatience, now < exchange.deadline else {
            return fail(
                502,
                "no endpoint of backend \(exchange.backend.name) accepts connections; the last tried was \(endpoint.name)\n"
            )
        }
        loop.eventLoop.assumeIsolated().scheduleTask(in: loop.timeouts.connectPause) {
            guard self.exchange === exchange, exchange.endpoint == nil else { return }
            exchange.failed = []
            exchange.backend = self.loop.backend(named: exchange.backend.name) ?? exchange.backend
            self.dispatch(exchange)
        }
    }

    // MARK: The end of a request

    /// Lets go of the endpoint. The connection serves again only where `reusable`.
    func detach(_ exchange: Exchange, reusable: Bool) {
        if let endpoint = exchange.endpoint { endpoint.inFlight -= 1 }
        exchange.endpoint = nil
        let upstream = exchange.upstream
        exchange.upstream = nil
        upstream?.release(reusable: reusable, now: loop.now)
    }

    /// Gives up a request without an answer.
    func abandonExchange() {
        guard let exchange else { return }
        self.exchange = nil
        if !exchange.hasResponseStarted { exchange.backend.counters.failures += 1 }
        detach(exchange, reusable: false)
    }

    /// Answers a request in the endpoint's place, or breaks the connection off where its answer has begun.
    func fail(_ status: Int, _ text: String) {
        guard let exchange else { return close() }
        if exchange.hasResponseStarted { return close() }
        let keepsAlive = exchange.keepsAlive && exchange.request.isDone
        abandonExchange()
        refuse(status, text, keepsAlive: keepsAlive, isHead: exchange.isHead)
        if case .head = phase { readHeads() }
        resumeReading()
    }

    /// Writes an answer of the gateway's own.
    func refuse(_ status: Int, _ text: String, keepsAlive: Bool, isHead: Bool? = nil) {
        var answer = loop.scratch
        answer.clear()
        answer.writeString(
            """
            HTTP/1.1 \(status) \(Self.reason(status))\r
            Content-Type: text/plain; charset=utf-8\r
            X-Content-Type-Options: nosniff\r
            Content-Length: \(text.utf8.count)\r
            Connection: \(keepsAlive ? "keep-alive" : "close")\r
            \(status == 503 && !loop.hasTable ? "Retry-After: 1\r\n" : "")\r\n
            """)
        if !(isHead ?? (loop.requestHead.knownMethod == .head)) { answer.writeString(text) }
        context?.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        if keepsAlive {
            phase = .head
            deadline = loop.now + loop.timeouts.clientIdle
        } else {
            closeAfterWrite()
        }
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 404: "Not Found"
        case 408: "Request Timeout"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Error"
        }
    }
}
