import NIOCore
import Store

/// One running watch of one connection. A reader that does not keep up is not read for: its place in the log waits.
final class Watch: @unchecked Sendable {
    // SAFETY: used on the event loop of `front` alone; `wake` hands it there.
    private let front: Front
    private weak let connection: Connection?
    private let id: UInt32
    private let prefix: [UInt8]
    private let cursor: Cursor
    private var told: Revision

    init(front: Front, connection: Connection, id: UInt32, prefix: [UInt8], after: Revision) throws(StoreError) {
        self.front = front
        self.connection = connection
        self.id = id
        self.prefix = prefix
        self.told = after
        cursor = try front.store.watch(prefixes: [prefix], after: after, visibility: .durable)
    }

    /// Sends what there is to read, then waits for more.
    func pump() {
        guard let connection else { return front.remove(self) }
        do throws(StoreError) {
            while connection.isWritable {
                let changes = try cursor.poll()
                guard let last = changes.last else {
                    let front = front
                    cursor.onChange { [weak self] in
                        if let self { front.wake(self) }
                    }
                    return
                }
                connection.send(try front.encode(changes, prefix: prefix), to: id)
                told = last.revision
            }
        } catch {
            front.remove(self)
            connection.refuse(id, error)
            connection.flush()
        }
    }

    /// Everything up to here was sent.
    func bookmark(isAsked: Bool) {
        guard let connection else { return front.remove(self) }
        let revision = cursor.revision
        guard connection.isWritable, isAsked || revision > told else { return }
        told = revision
        var body = ByteBufferAllocator().buffer(capacity: 12)
        body.write(revision)
        body.writeInteger(UInt32(0), endianness: .little)
        connection.send(body, to: id)
    }

    func cancel() {
        cursor.cancel()
        front.remove(self)
    }
}
