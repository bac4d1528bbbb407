import Glibc
import Journal
import Seams
import Simulation
import Store
import Testing

/// Every bit of a small store, every byte of a larger one, blocks swapped and duplicated: what is read afterwards is
/// what was written, all of it, or an error that names a file. Both stores were closed cleanly, so that everything was
/// recorded as durable and nothing may pass for a torn tail. `hack/crash --damage --full` leaves nothing out.
struct DamageCampaignTests {
    private static let isFull = CampaignScale.text("DAMAGE_FULL") != nil
    private static let largeBytes = CampaignScale.number("DAMAGE_BYTES", small: 24 * 1024)

    /// A closed store, what is in it, and the counts of what its damaged copies did.
    private struct Subject {
        let disk: CrashingDisk
        let keys: SealingKeys
        let segmentBytes: Int
        let expected: [StoreKey: [UInt8]]
        let revision: Revision
        var detected = 0, harmless = 0
        var problems: [String] = []

        init(bytes: Int, segmentBytes: Int) throws {
            disk = CrashingDisk(random: SeededRandom(seed: 11))
            keys = SealingKeys.ephemeral()
            self.segmentBytes = segmentBytes
            let store = try Self.open(disk, keys, segmentBytes)
            // So many keys that what compaction leaves of them reaches the size.
            let keyCount = max(40, bytes / 400)
            var number = 0
            while disk.contents.reduce(0, { $0 + $1.bytes.count }) < bytes {
                let key = key("k\(number % keyCount)", number % 5 == 0 ? secrets : configMaps)
                let text = "value \(number) " + String(repeating: "x", count: number * 37 % 900)
                _ = try store.commit(Transaction(operations: [put(key, text, sealed: number % 5 == 0)]))
                store.flush()
                number += 1
            }
            store.close()
            expected = try Self.contents(store)
            revision = store.durableRevision
        }

        static func open(_ disk: CrashingDisk, _ keys: SealingKeys, _ segmentBytes: Int) throws -> Keyspace {
            try Keyspace.simulated(on: disk, keys: keys) { configuration in
                configuration.journal.segmentBytes = segmentBytes
                configuration.journal.growthBytes = 0
                configuration.historyRevisions = 30
            }
        }

        static func contents(_ store: Keyspace) throws(StoreError) -> [StoreKey: [UInt8]] {
            var entries: [(StoreKey, [UInt8])] = []
            for entry in store.snapshot(.durable).list(prefix: []) {
                entries.append((entry.key, try entry.value.array))
            }
            return Dictionary(uniqueKeysWithValues: entries)
        }

        var files: [(path: String, bytes: [UInt8])] {
            disk.contents.filter { $0.path.hasPrefix("data/log/") && !$0.bytes.isEmpty }
        }

        mutating func damage(_ path: String, _ what: String, _ change: (inout [UInt8]) -> Void) {
            let copy = disk.copied()
            copy.alter(path, change)
            do {
                let store = try Self.open(copy, keys, segmentBytes)
                if try Self.contents(store) == expected, store.durableRevision == revision {
                    harmless += 1
                } else {
                    problems.append("\(path), \(what): read as if nothing were wrong")
                }
            } catch StoreError.damaged(let file, _, _, _) where file.hasPrefix("data/log/") {
                detected += 1
            } catch {
                problems.append("\(path), \(what): \(error)")
            }
        }

        func report(_ what: String) {
            print("damage, \(what): \(detected) detected, \(harmless) harmless, \(problems.count) wrong")
            #expect(problems.prefix(5).isEmpty)
            #expect(detected > harmless)
        }
    }

    @Test func everyBitOfASmallStore() throws {
        var subject = try Subject(bytes: Self.isFull ? 8192 : 2048, segmentBytes: 2048)
        for (path, bytes) in subject.files {
            for bit in stride(from: 0, to: bytes.count * 8, by: Self.isFull ? 1 : 7) {
                subject.damage(path, "bit \(bit)") { $0[bit / 8] ^= 1 << (bit % 8) }
            }
        }
        subject.report("bits of a small store")
    }

    @Test func everyByteOfALargerStore() throws {
        var subject = try Subject(bytes: Self.largeBytes, segmentBytes: max(8192, Self.largeBytes / 8))
        for (path, bytes) in subject.files {
            for index in stride(from: 0, to: bytes.count, by: Self.isFull ? 1 : 97) {
                if Self.isFull, index % 16_384 == 0 {
                    print("\(path), byte \(index) of \(bytes.count): \(subject.detected) detected so far")
                    fflush(nil)
                }
                subject.damage(path, "byte \(index)") { $0[index] ^= UInt8(truncatingIfNeeded: index % 255 + 1) }
            }
        }
        subject.report("bytes of \(Self.largeBytes)")
    }

    /// A disk that answers with another block than it was asked for, or wrote one to the wrong place. Not in the
    /// segment that is written last: a block there can hold the last record and the note that it was durable, and
    /// nothing else tells of them (`Sources/Journal/index.md`).
    @Test func blocksSwappedAndDuplicated() throws {
        var subject = try Subject(bytes: 24 * 1024, segmentBytes: 8192)
        let newest = subject.files.last { $0.path.hasSuffix(".log") }?.path
        for (path, bytes) in subject.files where path != newest {
            for block in [512, 4096] {
                let count = bytes.count / block
                for first in 0..<count {
                    for second in stride(from: first + 1, to: count, by: Self.isFull ? 1 : 5) {
                        let (a, b) = (
                            bytes[first * block..<(first + 1) * block], bytes[second * block..<(second + 1) * block]
                        )
                        if a == b { continue }
                        subject.damage(path, "blocks \(first) and \(second) swapped") {
                            $0.replaceSubrange(first * block..<(first + 1) * block, with: b)
                            $0.replaceSubrange(second * block..<(second + 1) * block, with: a)
                        }
                        subject.damage(path, "block \(first) at \(second) too") {
                            $0.replaceSubrange(second * block..<(second + 1) * block, with: a)
                        }
                    }
                }
                for cut in stride(from: 0, to: bytes.count, by: block) {
                    subject.damage(path, "cut at \(cut)") { $0.removeLast($0.count - cut) }
                }
            }
        }
        subject.report("blocks")
    }
}
