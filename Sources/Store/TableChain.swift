internal import Journal
internal import Seams

/// The tables that make up the state: each begins where the one before ends. Others are left over from a merge that was
/// cut short before it had deleted its inputs.
struct TableChain {
    private(set) var ranges: [RevisionRange] = []
    private(set) var obsolete: [RevisionRange] = []

    /// Fails with a table that belongs to no chain, because the one before it is missing.
    init(_ found: [RevisionRange]) throws(Gap) {
        var end = Revision.empty
        while let next = found.filter({ $0.first == end }).max(by: { $0.last < $1.last }) {
            ranges.append(next)
            end = next.last
        }
        for range in found where !ranges.contains(range) {
            guard ranges.contains(where: { $0.contains(range) }) else { throw Gap(before: range, end: end) }
            obsolete.append(range)
        }
    }

    /// A table, and the revision up to which there are tables.
    struct Gap: Error {
        let before: RevisionRange
        let end: Revision
    }

    /// The chain in a directory, with what an interrupted writer left removed.
    static func find(in directory: String, _ fileSystem: any FileSystem) throws(StoreError) -> TableChain {
        let names = try disk { () throws(FileError) in
            let names = try fileSystem.list(directory)
            for name in names where name.hasSuffix(".tmp") { try fileSystem.remove("\(directory)/\(name)") }
            return names
        }
        return try TableChain(found: names, in: directory)
    }

    /// The chain of the tables among files of a directory.
    init(found names: [String], in directory: String) throws(StoreError) {
        do throws(Gap) {
            self = try TableChain(names.compactMap { TableFormat.range(ofName: $0) })
        } catch {
            throw .damagedFile(
                "\(directory)/\(TableFormat.name(error.before))", 0,
                "the tables before it end at revision \(error.end): one is missing")
        }
    }
}
