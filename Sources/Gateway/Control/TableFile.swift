internal import Documents
package import Seams

/// The file that holds the gateway's last table, so that a gateway that was restarted serves before a server speaks to it.
/// Written whole and renamed into place, and not synced: after a power cut the endpoints it names are gone anyway, and a
/// file that does not read is as good as none.
package struct TableFile: Sendable {
    package let path: String
    private let fileSystem: any FileSystem

    package init(path: String, fileSystem: any FileSystem) {
        self.path = path
        self.fileSystem = fileSystem
    }

    package func save(_ table: RoutingTable, generation: UInt64) throws(FileError) {
        let json: JSON = ["generation": .integer(Int64(generation)), "table": table.json]
        try fileSystem.replaceFileUnsynced(path, with: json.encoded, permissions: 0o600)
    }

    /// The saved table; `nil` where there is none that can be read.
    package func load() -> (generation: UInt64, table: RoutingTable)? {
        guard let bytes = try? fileSystem.readFile(path),  // no file, or one that cannot be read: there is no table
            let json = try? JSONParser.parse(bytes, maximumBytes: GatewayLimits.controlMessageBytes),
            let table = try? RoutingTable(json: json["table"] ?? .null)
        else { return nil }
        return (UInt64(max(0, json["generation"]?.integerValue ?? 0)), table)
    }

    package func remove() {
        try? fileSystem.remove(path)  // what is not there need not be removed
    }
}

extension FileSystem {
    /// As `replaceFile`, but leaves it to the kernel when the bytes reach the disk.
    func replaceFileUnsynced(_ path: String, with bytes: [UInt8], permissions: UInt32) throws(FileError) {
        let temporary = path + ".tmp"
        if try exists(temporary) { try remove(temporary) }
        let file = try open(temporary, .create(permissions: permissions))
        defer { file.close() }
        try file.write(bytes, at: 0)
        try rename(temporary, to: path)
    }
}
