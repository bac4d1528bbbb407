/// The types of records that are made or looked at here.
package struct DNSType: Sendable, Hashable, RawRepresentable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let a = DNSType(rawValue: 1)
    package static let cname = DNSType(rawValue: 5)
    package static let soa = DNSType(rawValue: 6)
    package static let ptr = DNSType(rawValue: 12)
    package static let aaaa = DNSType(rawValue: 28)
    package static let srv = DNSType(rawValue: 33)
    static let opt = DNSType(rawValue: 41)
    package static let any = DNSType(rawValue: 255)
}

/// How a question was answered: RCODE of RFC 1035.
package enum DNSCode: UInt8, Sendable, Equatable {
    case noError = 0, malformed, failure, noSuchName, notImplemented, refused
}

/// A record with its data in wire form.
package struct DNSRecord: Sendable, Hashable {
    package var name: DNSName
    package var type: DNSType
    package var seconds: UInt32
    package var data: [UInt8]

    package init(_ name: DNSName, _ type: DNSType, _ data: [UInt8], seconds: UInt32 = DNSLimits.timeToLiveSeconds) {
        self.name = name
        self.type = type
        self.seconds = seconds
        self.data = data
    }

    fileprivate var bytes: [UInt8] {
        name.bytes + UInt32(UInt32(type.rawValue) << 16 | 1).bytes + seconds.bytes + UInt16(data.count).bytes + data
    }
}

/// A question as it came in: one name and one type, in class IN.
package struct DNSQuery: Sendable, Equatable {
    package var id: UInt16
    package var name: DNSName
    package var type: DNSType
    package var isRecursionDesired: Bool
    /// Bytes of the answer that the asker takes by datagram.
    package var datagramBytes: Int
    package var hasExtension: Bool
    /// The question as it stood in the message: askers compare it with what comes back, letter case included.
    package var question: [UInt8]

    /// What to make of a message: a question, an answer that says why not, or nothing.
    package enum Reading: Sendable, Equatable {
        case query(DNSQuery)
        case answer([UInt8])
        case ignored
    }

    /// Reads a message of any bytes. Everything in it is bounded by its length.
    package static func read(_ message: [UInt8]) -> Reading {
        guard message.count >= 12, message[2] & 0x80 == 0 else { return .ignored }
        do {
            return try .query(DNSQuery(message))
        } catch {
            let operation = message[2] >> 3 & 15
            let code = operation == 0 ? DNSCode.malformed : .notImplemented
            return .answer(
                Array(message[..<2]) + [0x80 | message[2] & 0x79, code.rawValue] + [UInt8](repeating: 0, count: 8))
        }
    }

    private init(_ message: [UInt8]) throws(DNSError) {
        guard message[2] >> 3 & 15 == 0, UInt16(message, at: 4) == 1 else { throw .malformed }
        id = UInt16(message, at: 0)
        isRecursionDesired = message[2] & 1 == 1
        var position = 12
        name = try DNSName(message, at: &position)
        guard position + 4 <= message.count, UInt16(message, at: position + 2) == 1 else { throw .malformed }
        type = DNSType(rawValue: UInt16(message, at: position))
        // As it stood, unless it pointed into the header: a pointer has nowhere else to go here.
        question = name.bytes + message[position..<(position + 4)]
        let isPlain = message[12..<position].count == name.bytes.count
        if isPlain { question = Array(message[12..<(position + 4)]) }
        position += 4
        datagramBytes = DNSLimits.datagramBytes
        hasExtension = false
        let count = Int(UInt16(message, at: 6)) + Int(UInt16(message, at: 8)) + Int(UInt16(message, at: 10))
        for _ in 0..<min(count, DNSLimits.recordsRead) {
            _ = try DNSName(message, at: &position)
            guard position + 10 <= message.count else { throw .malformed }
            if DNSType(rawValue: UInt16(message, at: position)) == .opt {
                hasExtension = true
                let size = Int(UInt16(message, at: position + 2))
                datagramBytes = min(max(size, DNSLimits.datagramBytes), DNSLimits.largestDatagramBytes)
            }
            position += 10 + Int(UInt16(message, at: position + 8))
            guard position <= message.count else { throw .malformed }
        }
    }

    /// An answer of our own. With `limit`, what does not fit is left out and said to be.
    package func answer(
        _ code: DNSCode, _ answers: [DNSRecord] = [], authority: [DNSRecord] = [], additional: [DNSRecord] = [],
        isOurs: Bool = true, limit: Int = DNSLimits.messageBytes
    ) -> [UInt8] {
        let size = UInt16(DNSLimits.largestDatagramBytes)
        let ending: [UInt8] = hasExtension ? [0] + DNSType.opt.rawValue.bytes + size.bytes + [0, 0, 0, 0, 0, 0] : []
        var body: [UInt8] = []
        var counts = [0, 0, 0]
        var isTruncated = false
        for (section, records) in [answers, authority, additional].enumerated() {
            for record in records.prefix(DNSLimits.recordsSent) {
                let bytes = record.bytes
                if 12 + question.count + body.count + bytes.count + ending.count > limit {
                    // What is additional may be left out.
                    if section < 2 { isTruncated = true }
                    break
                }
                body += bytes
                counts[section] += 1
            }
            if isTruncated { break }
        }
        let flags: UInt8 = 0x80 | (isOurs ? 0x04 : 0) | (isTruncated ? 0x02 : 0) | (isRecursionDesired ? 1 : 0)
        var message = id.bytes + [flags, 0x80 | code.rawValue, 0, 1]
        message += UInt16(counts[0]).bytes + UInt16(counts[1]).bytes
        message += UInt16(counts[2] + (hasExtension ? 1 : 0)).bytes
        return message + question + body + ending
    }
}

/// An answer of another resolver, as far as it is looked at.
package struct DNSAnswer: Sendable, Equatable {
    package var id: UInt16
    package var isTruncated: Bool
    package var code: UInt8
    package var name: DNSName
    package var type: DNSType
    package var answers: [DNSRecord]

    package init(_ message: [UInt8]) throws(DNSError) {
        guard message.count >= 12, message[2] & 0x80 != 0, UInt16(message, at: 4) == 1 else { throw .malformed }
        id = UInt16(message, at: 0)
        isTruncated = message[2] & 2 != 0
        code = message[3] & 15
        var position = 12
        name = try DNSName(message, at: &position)
        guard position + 4 <= message.count else { throw .malformed }
        type = DNSType(rawValue: UInt16(message, at: position))
        position += 4
        answers = []
        for _ in 0..<min(Int(UInt16(message, at: 6)), DNSLimits.recordsRead) {
            let name = try DNSName(message, at: &position)
            guard position + 10 <= message.count else { throw .malformed }
            let type = DNSType(rawValue: UInt16(message, at: position))
            let seconds = UInt32(UInt16(message, at: position + 4)) << 16 | UInt32(UInt16(message, at: position + 6))
            let start = position + 10
            position = start + Int(UInt16(message, at: position + 8))
            guard position <= message.count else { throw .malformed }
            var data = Array(message[start..<position])
            if type == .cname {
                // Its name may point anywhere in this message, and will stand in another.
                var place = start
                data = try DNSName(message, at: &place).bytes
                guard place <= position else { throw .malformed }
            }
            answers.append(DNSRecord(name, type, data, seconds: seconds))
        }
    }

    /// The addresses among the answers, with the time the shortest-lived one has.
    var addresses: (found: [IPv4Address], seconds: Int) {
        let records = answers.filter { $0.type == .a && $0.data.count == 4 }
        let found = records.map { IPv4Address($0.data.reduce(0) { $0 << 8 | UInt32($1) }) }
        return (found, Int(records.map(\.seconds).min() ?? 0))
    }
}

extension UInt16 {
    init(_ bytes: [UInt8], at position: Int) { self = UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1]) }
    var bytes: [UInt8] { [UInt8(self >> 8), UInt8(self & 255)] }
}

extension UInt32 {
    var bytes: [UInt8] { UInt16(self >> 16).bytes + UInt16(self & 0xFFFF).bytes }
}
