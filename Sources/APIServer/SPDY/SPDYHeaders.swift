internal import CZlib

/// Bounds of a block of headers once it is unpacked.
private let blockBytes = 64 * 1024

/// Reads the compressed headers of one connection. Each block continues the stream of the ones before it.
struct SPDYHeaderReader: ~Copyable {
    private let stream = ZlibStream(.inflate)

    mutating func read(_ compressed: [UInt8]) throws(SPDYError) -> [SPDYFrame.Header] {
        guard let block = stream.process(compressed, limit: blockBytes) else {
            throw SPDYError(message: "headers that cannot be unpacked, or more than \(blockBytes) bytes of them")
        }
        var position = 0
        func integer() throws(SPDYError) -> Int {
            guard block.count - position >= 4 else { throw SPDYError(message: "headers that are cut short") }
            defer { position += 4 }
            return block[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        func text() throws(SPDYError) -> String {
            let length = try integer()
            guard block.count - position >= length else { throw SPDYError(message: "headers that are cut short") }
            defer { position += length }
            return String(decoding: block[position..<position + length], as: UTF8.self)
        }
        let count = try integer()
        // Each takes eight bytes at least, so that the block's own size bounds their number.
        guard count <= block.count / 8 else { throw SPDYError(message: "headers that are cut short") }
        var headers: [SPDYFrame.Header] = []
        for _ in 0..<count { headers.append(SPDYFrame.Header(try text(), try text())) }
        return headers
    }
}

/// Writes the compressed headers of one connection.
struct SPDYHeaderWriter: ~Copyable {
    private let stream = ZlibStream(.deflate)

    mutating func bytes(_ headers: [SPDYFrame.Header]) -> [UInt8] {
        var block = Self.integer(headers.count)
        for header in headers {
            for text in [header.name, header.value] { block += Self.integer(text.utf8.count) + Array(text.utf8) }
        }
        return stream.process(block, limit: .max) ?? []
    }

    private static func integer(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// One direction of zlib (RFC 1950) with the dictionary of SPDY/3, flushed after each block.
final class ZlibStream {
    enum Direction { case inflate, deflate }

    private let direction: Direction
    /// At one address for its life: zlib keeps a pointer back to it.
    private let state = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init(_ direction: Direction) {
        self.direction = direction
        state.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        switch direction {
        case .inflate: inflateInit_(state, ZLIB_VERSION, size)
        case .deflate:
            deflateInit_(state, Z_BEST_SPEED, ZLIB_VERSION, size)
            deflateSetDictionary(state, SPDYDictionary.bytes, UInt32(SPDYDictionary.bytes.count))
        }
    }

    deinit {
        switch direction {
        case .inflate: inflateEnd(state)
        case .deflate: deflateEnd(state)
        }
        state.deallocate()
    }

    /// What comes out for `input`; `nil` where it is no such stream or more than `limit` would come out.
    func process(_ input: [UInt8], limit: Int) -> [UInt8]? {
        var input = input
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        return input.withUnsafeMutableBufferPointer { input -> [UInt8]? in
            state.pointee.next_in = input.baseAddress
            state.pointee.avail_in = UInt32(input.count)
            while true {
                let (code, made) = chunk.withUnsafeMutableBufferPointer { chunk in
                    state.pointee.next_out = chunk.baseAddress
                    state.pointee.avail_out = UInt32(chunk.count)
                    return (step(), chunk.count - Int(state.pointee.avail_out))
                }
                output += chunk[..<made]
                if output.count > limit { return nil }
                switch code {
                case Z_NEED_DICT:
                    let bytes = SPDYDictionary.bytes
                    if inflateSetDictionary(state, bytes, UInt32(bytes.count)) != Z_OK { return nil }
                // Full or not, it has nothing more to say.
                case Z_BUF_ERROR: return output
                case Z_OK:
                    if state.pointee.avail_in == 0, made < chunk.count { return output }
                default: return nil
                }
            }
        }
    }

    private func step() -> Int32 {
        switch direction {
        case .inflate: inflate(state, Z_SYNC_FLUSH)
        case .deflate: deflate(state, Z_SYNC_FLUSH)
        }
    }
}

/// The dictionary both sides of SPDY/3 start with: section 2.6.10.1 of the protocol. Its Adler-32 is e3c6a7c2.
enum SPDYDictionary {
    static let bytes: [UInt8] = words.flatMap { word in [0, 0, 0, UInt8(word.utf8.count)] + Array(word.utf8) } + tail

    private static let words =
        """
        options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age \
        allow authorization cache-control connection content-base content-encoding content-language content-length \
        content-location content-md5 content-range content-type date etag expect expires from host if-match \
        if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
        proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
        user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
        keep-alive origin
        """.split(separator: " ").map { $0.replacing("_", with: " ") }

    private static let tail = Array(
        """
        100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
        Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 \
        Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May \
        Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,\
        image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=\
        gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.
        """.utf8)
}
