internal import Journal
internal import Seams

/// Makes one table out of some that follow each other: of every key the newest, and what is deleted not at all when
/// there is no older table to delete it from. Values move as they are, checksums and all.
struct TableMerge {
    /// From old to new.
    let inputs: [Table]
    let dropsTombstones: Bool

    /// Data that is in one piece in an input and in the output.
    fileprivate struct Run {
        var table: Int
        var old: UInt32
        var new: UInt32
        var units: UInt32
    }

    /// Where values of the inputs are in the output.
    struct Relocation {
        let output: Table
        private let inputs: [Table]
        /// For each input, in the order of the old places.
        private let runs: [[Run]]

        fileprivate init(output: Table, inputs: [Table], runs: [Run]) {
            self.output = output
            self.inputs = inputs
            self.runs = inputs.indices.map { input in runs.filter { $0.table == input } }
        }

        /// Points an entry into the output if it points into an input.
        func apply(to entry: Entry) {
            let place = entry.place
            guard case .table(let table) = place.value, let input = inputs.firstIndex(where: { $0 === table })
            else { return }
            let runs = runs[input]
            var low = 0
            var high = runs.count
            while low < high {
                let middle = (low + high) / 2
                if runs[middle].old <= place.offset { low = middle + 1 } else { high = middle }
            }
            guard low > 0, place.offset - runs[low - 1].old < runs[low - 1].units else { return }
            entry.move(
                to: ValuePlace(
                    value: .table(output), offset: runs[low - 1].new + (place.offset - runs[low - 1].old),
                    keyIdentifier: place.keyIdentifier))
        }
    }

    /// Writes the output and makes it durable. `goOn` is asked now and then; when it says no, this throws `closed`.
    func run(
        directory: String, fileSystem: any FileSystem, keys: KeyRing, goOn: () -> Bool
    ) throws(StoreError) -> Relocation {
        guard let first = inputs.first, let last = inputs.last else { throw .invalid(reason: "a merge of no tables") }
        let range = RevisionRange(first: first.range.first, last: last.range.last)
        var builder = try TableBuilder(range, hash: last.footer.hash, directory: directory, fileSystem: fileSystem)
        do throws(StoreError) {
            let runs = try writeIndex(&builder, goOn)
            try builder.beginData()
            try copyData(runs, to: &builder, goOn)
            return Relocation(output: try builder.finish(keys: keys), inputs: inputs, runs: runs)
        } catch {
            builder.abandon()
            throw error
        }
    }

    private func writeIndex(_ builder: inout TableBuilder, _ goOn: () -> Bool) throws(StoreError) -> [Run] {
        var runs: [Run] = []
        var union = TableUnion(inputs)
        var count = 0
        while let (table, item) = try union.next() {
            count += 1
            if count % 4096 == 0, !goOn() { throw .closed }
            if item.isTombstone, dropsTombstones { continue }
            var failure: StoreError?
            let new = union.withKey(of: table) { key -> UInt32 in
                do throws(StoreError) { return try builder.append(item, key: key) } catch { failure = error }
                return 0
            }
            if let failure { throw failure }
            if item.isTombstone { continue }
            let units = UInt32(TableFormat.units(Int(item.payload)))
            if let last = runs.last, last.table == table, last.old + last.units == item.offset {
                runs[runs.count - 1].units += units
            } else {
                runs.append(Run(table: table, old: item.offset, new: new, units: units))
            }
        }
        return runs
    }

    private func copyData(_ runs: [Run], to builder: inout TableBuilder, _ goOn: () -> Bool) throws(StoreError) {
        var windows = inputs.map { DataWindow($0) }
        for run in runs {
            var unit = run.old
            let end = run.old + run.units
            while unit < end {
                let units = min(end - unit, DataWindow.units)
                try windows[run.table].withBytes(at: unit, units: units, goOn) { bytes throws(StoreError) in
                    try builder.append(copied: bytes)
                }
                unit += units
            }
        }
    }
}
