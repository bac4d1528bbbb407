import NIOCore
import Store

/// One client. Lives on the event loop of its front.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let front: Front
    private var input = ByteBuffer()
    private var context: ChannelHandlerContext?
    private var watches: [Watch] = []
    private var mustFlush = false

    init(front: Front) { self.front = front }

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelInactive(context: ChannelHandlerContext) {
        for watch in watches { watch.cancel() }
        watches = []
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { for watch in watches { watch.pump() } }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var new = unwrapInboundIn(data)
        if input.readableBytes == 0 { input = new } else { input.writeBuffer(&new) }
        do {
            while let (id, request) = try Wire.next(&input) { handle(request, id) }
            if input.readableBytes == 0 { input = ByteBuffer() } else { input.discardReadBytes() }
        } catch {
            context.close(promise: nil)
        }
        flush()
    }

    // MARK: Requests

    private func handle(_ request: Wire.Request, _ id: UInt32) {
        do throws(StoreError) {
            switch request {
            case .put(let key, let value, let compare):
                try write(.put(key, value: value, revisionOffset: nil, sealed: false), key, compare, id)
            case .delete(let key, let compare): try write(.delete(key), key, compare, id)
            case .get(let key):
                let snapshot = front.store.snapshot(.durable)
                try answer(id, snapshot.revision, snapshot.get(key).map { [$0] } ?? [])
            case .list(let revision, let limit, let prefix, let after):
                let snapshot = try snapshot(at: revision)
                let entries = snapshot.list(
                    prefix: prefix, after: after.isEmpty ? nil : StoreKey(bytes: after), limit: limit == 0 ? nil : limit
                )
                try answer(id, snapshot.revision, entries)
            case .watch(let after, let prefix):
                let watch = try Watch(
                    front: front, connection: self, id: id, prefix: prefix, after: Revision(rawValue: after))
                watches.append(watch)
                front.add(watch)
            case .compact(let revision):
                front.store.compact(to: Revision(rawValue: revision))
                answer(.done, id)
            case .status: answerStatus(id)
            case .bookmark: for watch in watches { watch.bookmark(isAsked: true) }
            }
        } catch {
            refuse(id, error)
        }
    }

    private func write(
        _ operation: Transaction.Operation, _ key: StoreKey, _ compare: UInt64, _ id: UInt32
    ) throws(StoreError) {
        var transaction = Transaction(operations: [operation])
        if compare == 0 { transaction.conditions = [.absent(key)] }
        if compare != 0, compare != Wire.anything {
            transaction.conditions = [.unchanged(key, Revision(rawValue: compare))]
        }
        do throws(StoreError) {
            let revision = try front.store.commit(transaction)
            front.answer(.init(revision: revision, connection: self, id: id, conflict: nil))
        } catch {
            guard case .conditionFailed(_, let current) = error else { throw error }
            let found = current?.modRevision.rawValue ?? 0
            front.answer(
                .init(revision: front.store.sequencedRevision, connection: self, id: id, conflict: found))
        }
    }

    private func snapshot(at revision: UInt64) throws(StoreError) -> Snapshot {
        if revision == 0 { return front.store.snapshot(.durable) }
        if revision > front.store.durableRevision.rawValue { throw .future(Revision(rawValue: revision)) }
        return try front.store.snapshot(at: Revision(rawValue: revision))
    }

    // MARK: Answers

    func answer(_ status: Wire.Status, _ id: UInt32, number: UInt64? = nil) {
        var buffer = Wire.begin(status, id: id, capacity: 8)
        if let number { buffer.writeInteger(number, endianness: .little) }
        write(&buffer)
    }

    private func answer(_ id: UInt32, _ revision: Revision, _ entries: [Entry]) throws(StoreError) {
        var buffer = Wire.begin(.done, id: id, capacity: entries.reduce(12) { $0 + $1.count + 128 })
        buffer.write(revision)
        buffer.writeInteger(UInt32(entries.count), endianness: .little)
        for entry in entries { buffer.write(revision: entry.modRevision, key: entry.key, value: try entry.value) }
        write(&buffer)
    }

    private func answerStatus(_ id: UInt32) {
        let store = front.store
        var buffer = Wire.begin(.done, id: id, capacity: 32)
        buffer.write(store.sequencedRevision)
        buffer.write(store.durableRevision)
        buffer.write(store.compactedRevision)
        buffer.writeInteger(UInt64(store.snapshot(.durable).count(prefix: [])), endianness: .little)
        write(&buffer)
    }

    func refuse(_ id: UInt32, _ error: StoreError) {
        let status: Wire.Status =
            switch error {
            case .compacted: .compacted
            case .future: .future
            default: .refused
            }
        var buffer = Wire.begin(status, id: id, capacity: 128)
        if status == .refused { buffer.writeString(error.description) }
        write(&buffer)
    }

    /// A watch's frame, whose body it may share with others.
    func send(_ body: ByteBuffer, to id: UInt32) {
        guard let context else { return }
        var head = Wire.begin(.events, id: id, capacity: 0)
        Wire.finish(&head, behind: body.readableBytes)
        context.write(wrapOutboundOut(head), promise: nil)
        context.writeAndFlush(wrapOutboundOut(body), promise: nil)
    }

    private func write(_ buffer: inout ByteBuffer) {
        Wire.finish(&buffer)
        mustFlush = true
        context?.write(wrapOutboundOut(buffer), promise: nil)
    }

    func flush() {
        guard mustFlush else { return }
        mustFlush = false
        context?.flush()
    }
}
