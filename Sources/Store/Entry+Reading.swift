extension [Entry] {
    /// Gives `body` the value of every entry, in order, with its position. Values that stand near each other in a table
    /// are read at once, so that a long list takes few reads; `body` makes the only copy.
    package func readValues(_ body: (Int, UnsafeRawBufferPointer) -> Void) throws(StoreError) {
        var position = 0
        while position < count {
            let place = self[position].place
            switch place.value {
            case .memory(let bytes):
                bytes.withUnsafeBytes { body(position, $0) }
                position += 1
            case .table(let table):
                position = try readRun(of: table, from: position, at: place, body)
            }
        }
    }

    /// Reads the values that follow each other in one table and returns the position behind them.
    private func readRun(
        of table: Table, from start: Int, at first: ValuePlace, _ body: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(StoreError) -> Int {
        var places = [first]
        let begin = table.fileOffset(first.offset)
        var end = begin + Table.payload(self[start]) + Checksum.size
        while start + places.count < count {
            let entry = self[start + places.count]
            let place = entry.place
            guard case .table(let next) = place.value, next === table else { break }
            let offset = table.fileOffset(place.offset)
            let nextEnd = offset + Table.payload(entry) + Checksum.size
            guard offset >= end, offset - end <= StoreLimits.readGap, nextEnd - begin <= StoreLimits.readBytes else {
                break
            }
            places.append(place)
            end = nextEnd
        }
        let bytes = try table.read(at: begin, count: end - begin)
        for (index, place) in places.enumerated() {
            let entry = self[start + index]
            let offset = table.fileOffset(place.offset)
            let low = offset - begin
            let payload = Table.payload(entry)
            try bytes.span.withUnsafeBytes { buffer throws(StoreError) in
                let value = UnsafeRawBufferPointer(rebasing: buffer[low..<low + payload + Checksum.size])
                try table.check(value, revision: entry.modRevision.rawValue, at: offset)
                let sealed = UnsafeRawBufferPointer(rebasing: value[..<payload])
                if !entry.isSealed { return body(start + index, sealed) }
                try table.open([UInt8](sealed), entry, place).withUnsafeBytes { body(start + index, $0) }
            }
        }
        return start + places.count
    }
}
