package import Documents
package import Seams

/// The time zones of this machine, read once. A value, so that what a schedule says follows from what a loop was given.
package struct TimeZones: Sendable {
    private let files: [String: [UInt8]]

    /// UTC and nothing else.
    package static let utc = TimeZones(files: [:])

    /// `files` are compiled zones by name, such as `Europe/Berlin`.
    package init(files: [String: [UInt8]]) { self.files = files }

    /// Reads a folder as the package tzdata makes it. What cannot be read is left out; without a folder there is UTC.
    package init(directory: String = "/usr/share/zoneinfo", fileSystem: any FileSystem) {
        var files: [String: [UInt8]] = [:]
        var folders = [""]
        while let folder = folders.popLast(), files.count < ReconcilerLimits.timeZones {
            // Where this is no folder, it was a file.
            let names = (try? fileSystem.list(folder.isEmpty ? directory : "\(directory)/\(folder)")) ?? []
            for name in names {
                let path = folder.isEmpty ? name : "\(folder)/\(name)"
                // The same zones again, one of the two with leap seconds in them.
                if ["posix", "right", "localtime"].contains(path) { continue }
                if let bytes = try? fileSystem.readFile("\(directory)/\(path)") {
                    if bytes.starts(with: "TZif".utf8) { files[path] = bytes }
                } else if path.split(separator: "/").count < 4 {
                    folders.append(path)
                }
            }
        }
        self.files = files
    }

    /// A zone of the database; without a name, UTC. `nil` for one that is not there or damaged.
    package func zone(named name: String?) -> TimeZone? {
        guard let name, name != "UTC", name != "Etc/UTC", !name.isEmpty else { return .utc }
        return files[name].flatMap { TimeZone(tzif: $0) }
    }
}
