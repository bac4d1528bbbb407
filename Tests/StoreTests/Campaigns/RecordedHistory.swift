import Seams

/// A history in a file, as hack/lib/store_clients.py writes it: words and numbers, a line for each thing.
///
///     G size
///     W client called returned key value compare outcome revision    value, compare, returned: - for none
///     R client called returned key|-group revision key:value:revision …
///     E revision key value
///
/// Outcomes are written, conflict and unknown.
enum RecordedHistory {
    struct Malformed: Error {
        let line: Substring
    }

    static func read(_ path: String) throws -> ClientHistory {
        let text = String(decoding: try LinuxFileSystem().readFile(path), as: UTF8.self)
        var history = ClientHistory(groupSize: 8)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard try add(words, to: &history) else { throw Malformed(line: line) }
        }
        return history
    }

    private static func add(_ words: [Substring], to history: inout ClientHistory) throws -> Bool {
        func number(_ index: Int) throws -> UInt64? {
            if words[index] == "-" { return nil }
            guard let number = UInt64(words[index]) else { throw Malformed(line: words[index]) }
            return number
        }
        switch words[0] {
        case "G" where words.count == 2: history.groupSize = Int(words[1]) ?? 8
        case "E" where words.count == 4:
            history.log.append(
                .init(revision: try number(1) ?? 0, key: Int(try number(2) ?? 0), value: try number(3)))
        case "W" where words.count == 9:
            let key = Int(try number(4) ?? 0)
            var operation = ClientHistory.Operation(
                client: Int(try number(1) ?? 0), called: try number(2) ?? 0, returned: try number(3) ?? .max,
                request: try number(5).map { .put(key, value: $0) } ?? .delete(key), compare: try number(6))
            switch words[7] {
            case "written": operation.answer = .written(try number(8) ?? 0)
            case "conflict": operation.answer = .conflict(try number(8) ?? 0)
            default: operation.returned = .max
            }
            history.operations.append(operation)
        case "R" where words.count >= 6:
            let isGroup = words[4].hasPrefix("-")
            let place = Int(words[4].drop { $0 == "-" }) ?? 0
            let seen = try words[6...].map { word in
                let parts = word.split(separator: ":").compactMap { UInt64($0) }
                guard parts.count == 3 else { throw Malformed(line: word) }
                return ClientHistory.Seen(key: Int(parts[0]), value: parts[1], revision: parts[2])
            }
            history.operations.append(
                .init(
                    client: Int(try number(1) ?? 0), called: try number(2) ?? 0, returned: try number(3) ?? 0,
                    request: isGroup ? .list(group: place) : .get(place),
                    answer: .read(revision: try number(5) ?? 0, seen.sorted { $0.key < $1.key })))
        default: return false
        }
        return true
    }
}
