internal import NIOCore

extension ClientConnection: UpstreamOwner {
    var holdsUpstreamReads: Bool { !(context?.channel.isWritable ?? true) }

    func onUpstreamWritable() { resumeReading() }

    func onUpstreamRead(_ bytes: ByteBuffer) {
        if case .tunnel = phase {
            deadline = loop.now + loop.timeouts.tunnelIdle
            context?.write(wrapOutboundOut(bytes), promise: nil)
            return
        }
        guard let exchange else { return }
        switch exchange.response {
        case .head:
            if exchange.responseBuffer.readableBytes == 0 {
                exchange.responseBuffer = bytes
                // Something has been answered: the request may have had its effect, and is not sent again.
                exchange.requestBytes = ByteBuffer()
            } else {
                exchange.responseBuffer.writeImmutableBuffer(bytes)
            }
            readResponseHeads(exchange)
        case .body(let progress, let form): forwardResponse(bytes, exchange, progress, form)
        }
    }

    func onUpstreamReadComplete() {
        switch phase {
        case .exchange, .tunnel: context?.flush()
        default: break
        }
    }

    // MARK: The head

    private enum ResponseOutcome {
        case incomplete
        case violation(HTTPViolation)
        case interim
        case upgraded
        case final(BodyFraming, HeadWriter.BodyForm)
    }

    private func readResponseHeads(_ exchange: Exchange) {
        while self.exchange === exchange, case .head = exchange.response, exchange.responseBuffer.readableBytes > 0 {
            loop.scratch.clear()
            let outcome = exchange.responseBuffer.withUnsafeReadableBytes { self.readResponseHead($0, exchange) }
            if case .incomplete = outcome { return }
            if case .violation(let violation) = outcome {
                return fail(
                    502, "\(exchange.endpoint?.name ?? "the endpoint") sent no valid response: \(violation.reason)\n")
            }
            exchange.responseBuffer.moveReaderIndex(forwardBy: loop.responseHead.length)
            exchange.responseScan = HeadScan()
            switch outcome {
            case .upgraded: return upgrade(exchange)
            case .final(let framing, let form): return startResponse(exchange, framing, form)
            default:
                // HTTP/1.0 knows no interim responses.
                if !exchange.isHTTP10 { context?.writeAndFlush(wrapOutboundOut(loop.scratch), promise: nil) }
            }
        }
    }

    private func readResponseHead(_ bytes: UnsafeRawBufferPointer, _ exchange: Exchange) -> ResponseOutcome {
        do throws(HTTPViolation) {
            guard let length = try exchange.responseScan.end(in: bytes) else { return .incomplete }
            try loop.responseHead.parse(bytes, length: length, toHEAD: exchange.isHead)
        } catch { return .violation(error) }
        let status = loop.responseHead.status
        if status == 101 {
            guard exchange.isUpgrade else {
                return .violation(HTTPViolation(502, "it switched protocols without being asked"))
            }
            HeadWriter.write(loop.responseHead, bytes, form: .verbatim, connection: .upgrade, into: &loop.scratch)
            return .upgraded
        }
        if loop.responseHead.isInterim {
            HeadWriter.write(loop.responseHead, bytes, form: .verbatim, connection: .none, into: &loop.scratch)
            return .interim
        }
        exchange.status = status
        exchange.upstreamKeepsAlive = loop.responseHead.keepsAlive
        let framing = loop.responseHead.framing
        let form: HeadWriter.BodyForm =
            switch framing {
            case .chunked: exchange.isHTTP10 ? .unchunked : .verbatim
            case .untilClose: exchange.isHTTP10 ? .verbatim : .chunked
            case .none, .length: .verbatim
            }
        // Before the whole request is in, nobody can tell where the next one would start.
        if !exchange.request.isDone || loop.isDraining { exchange.keepsAlive = false }
        if exchange.isHTTP10, framing == .chunked || framing == .untilClose { exchange.keepsAlive = false }
        let connection: HeadWriter.ConnectionField =
            exchange.keepsAlive ? (exchange.isHTTP10 ? .keepAlive : .none) : .close
        HeadWriter.write(loop.responseHead, bytes, form: form, connection: connection, into: &loop.scratch)
        return .final(framing, form)
    }

    /// Writes the head that is in the scratch buffer, with the part of the body that came with it.
    private func startResponse(_ exchange: Exchange, _ framing: BodyFraming, _ form: HeadWriter.BodyForm) {
        let progress = BodyProgress(framing)
        let rest = exchange.responseBuffer
        exchange.responseBuffer = ByteBuffer()
        exchange.response = .body(progress, form)
        exchange.waiting = []
        deadline = loop.now + loop.timeouts.responseStall
        if case .length(let length) = framing, form == .verbatim, length == rest.readableBytes,
            length <= GatewayLimits.coalescedBodyBytes
        {
            // The common case: the whole response is here, and leaves in one write.
            loop.scratch.writeImmutableBuffer(rest)
            context?.write(wrapOutboundOut(loop.scratch), promise: nil)
            return finishResponse(exchange, leftover: false)
        }
        context?.write(wrapOutboundOut(loop.scratch), promise: nil)
        if progress.isDone {
            finishResponse(exchange, leftover: rest.readableBytes > 0)
        } else if rest.readableBytes > 0 {
            forwardResponse(rest, exchange, progress, form)
        } else {
            // A head may be all there is for a long time, and the client waits for it.
            context?.flush()
        }
    }

    // MARK: The body

    private func forwardResponse(
        _ bytes: ByteBuffer, _ exchange: Exchange, _ progress: BodyProgress, _ form: HeadWriter.BodyForm
    ) {
        var bytes = bytes
        var progress = progress
        var pieces: [Range<Int>] = []
        let outcome: Result<Int, HTTPViolation> = bytes.withUnsafeReadableBytes { pointer in
            do throws(HTTPViolation) {
                return .success(
                    form == .verbatim
                        ? try progress.consume(pointer) : try progress.consume(pointer) { pieces.append($0) })
            } catch { return .failure(error) }
        }
        guard case .success(let count) = outcome else { return close() }
        exchange.response = .body(progress, form)
        deadline = loop.now + loop.timeouts.responseStall
        let start = bytes.readerIndex
        switch form {
        case .verbatim:
            if let body = bytes.readSlice(length: count), count > 0 {
                context?.write(wrapOutboundOut(body), promise: nil)
            }
        case .unchunked:
            for piece in pieces { writeSlice(bytes, start + piece.lowerBound, piece.count) }
            bytes.moveReaderIndex(forwardBy: count)
        case .chunked:
            for piece in pieces {
                context?.write(
                    wrapOutboundOut(ByteBuffer(string: String(piece.count, radix: 16) + "\r\n")), promise: nil)
                writeSlice(bytes, start + piece.lowerBound, piece.count)
                context?.write(wrapOutboundOut(ByteBuffer(string: "\r\n")), promise: nil)
            }
            bytes.moveReaderIndex(forwardBy: count)
        }
        if progress.isDone { finishResponse(exchange, leftover: bytes.readableBytes > 0) }
    }

    private func writeSlice(_ bytes: ByteBuffer, _ start: Int, _ count: Int) {
        if let slice = bytes.getSlice(at: start, length: count) { context?.write(wrapOutboundOut(slice), promise: nil) }
    }

    /// The response has been written whole: the endpoint's connection serves others, and the client may go on.
    private func finishResponse(_ exchange: Exchange, leftover: Bool) {
        let isRequestDone = exchange.request.isDone
        record(exchange)
        self.exchange = nil
        detach(exchange, reusable: exchange.upstreamKeepsAlive && isRequestDone && !leftover)
        guard exchange.keepsAlive, isRequestDone, !loop.isDraining, !isInputClosed else { return closeAfterWrite() }
        phase = .head
        deadline = loop.now + loop.timeouts.clientIdle
        context?.flush()
        if buffer.readableBytes > 0 { readHeads() }
        resumeReading()
    }

    private func record(_ exchange: Exchange) {
        let kind = exchange.status / 100 - 1
        if kind >= 0, kind < 5 { exchange.backend.counters.statuses[kind] += 1 }
        exchange.backend.counters.latency.record(nanoseconds: (NIODeadline.now() - exchange.started).nanoseconds)
    }

    private func upgrade(_ exchange: Exchange) {
        guard let upstream = exchange.upstream else { return close() }
        exchange.status = 101
        exchange.backend.counters.statuses[0] += 1
        context?.write(wrapOutboundOut(loop.scratch), promise: nil)
        if exchange.responseBuffer.readableBytes > 0 {
            context?.write(wrapOutboundOut(exchange.responseBuffer), promise: nil)
        }
        context?.flush()
        if let endpoint = exchange.endpoint { endpoint.inFlight -= 1 }
        exchange.endpoint = nil
        exchange.upstream = nil
        self.exchange = nil
        phase = .tunnel(upstream)
        deadline = loop.now + loop.timeouts.tunnelIdle
        if buffer.readableBytes > 0 {
            upstream.writeAndFlush(buffer)
            buffer = ByteBuffer()
        }
        if isInputClosed { upstream.closeOutput() }
        resumeReading()
    }

    // MARK: The end of the endpoint's side

    func onUpstreamEnd() {
        if case .tunnel(let upstream) = phase {
            // Each side may finish on its own; when both have, the connection is over.
            if isInputClosed {
                closeAfterWrite()
                upstream.close()
            } else {
                context?.flush()
                context?.close(mode: .output, promise: nil)
            }
            return
        }
        guard let exchange else { return }
        if case .body(let progress, let form) = exchange.response, progress.endsAtClose {
            if form == .chunked { context?.write(wrapOutboundOut(ByteBuffer(string: "0\r\n\r\n")), promise: nil) }
            return finishResponse(exchange, leftover: true)
        }
        onUpstreamLost(exchange)
    }

    func onUpstreamClosed() {
        if case .tunnel = phase { return closeAfterWrite() }
        guard let exchange else { return }
        exchange.upstream = nil
        onUpstreamLost(exchange)
    }

    /// The endpoint's connection ended before its response did.
    private func onUpstreamLost(_ exchange: Exchange) {
        if exchange.hasResponseStarted { return close() }
        let isUntouched = exchange.responseBuffer.readableBytes == 0 && exchange.requestBytes.readableBytes > 0
        let name = exchange.endpoint?.name ?? "the endpoint"
        if isUntouched, exchange.isIdempotent, !exchange.isBeyondReplay {
            if exchange.isOnReusedConnection, !exchange.needsFreshConnection {
                // The endpoint closed an idle connection just as the request was sent on it.
                exchange.needsFreshConnection = true
                detach(exchange, reusable: false)
                return dispatch(exchange)
            }
            if exchange.retriesLeft > 0 {
                exchange.retriesLeft -= 1
                if let endpoint = exchange.endpoint { exchange.failed.append(endpoint) }
                detach(exchange, reusable: false)
                return dispatch(exchange)
            }
        }
        fail(502, "\(name) closed the connection before it had answered\n")
    }
}
