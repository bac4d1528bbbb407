internal import Glibc
package import Seams

/// Lets the machine forward between its pods and the devices its default routes leave by, where it does not already. What
/// was turned on is written down in `/run`, which a restart of the machine clears as it clears the setting; the walls
/// drop whatever else such a device would now forward, and the last server to stop turns it off.
package enum UplinkForwarding {
    static let record = "/run/espalier-forwarding"

    /// The devices that forward because of this software, after seeing to it that uplinks do.
    package static func open(spawner: any ProcessSpawner) async -> Set<String> {
        var opened = recorded
        guard let path = NetworkTool.find() else { return opened }
        let tool = NetworkTool(path: path, spawner: spawner)
        // Without an answer there is nothing to open.
        let routes = (try? await tool.run(["-4", "route", "show", "default"])) ?? ""
        for line in routes.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "dev"), position + 1 < words.count else { continue }
            let device = String(words[position + 1])
            guard isDevice(device), StateFiles.text(setting(device))?.first == "0" else { continue }
            opened.insert(device)
            // In this order: what was turned on and not written down would stay on.
            try? StateFiles.write(record, Array(opened.sorted().joined(separator: "\n").utf8))
            KernelSetting.write(setting(device), "1")
        }
        return opened
    }

    /// Turns off what was turned on, where no server's bridge is left.
    package static func closeUnlessUsed() {
        if StateFiles.names(in: "/sys/class/net").contains(where: { $0.hasPrefix("esp") }) { return }
        for device in recorded { KernelSetting.write(setting(device), "0") }
        StateFiles.remove(record)
    }

    private static var recorded: Set<String> {
        Set((StateFiles.text(record) ?? "").split(separator: "\n").map(String.init).filter(isDevice))
    }

    private static func setting(_ device: String) -> String { "/proc/sys/net/ipv4/conf/\(device)/forwarding" }

    /// The names go into paths and rules.
    private static func isDevice(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
            }
    }
}

/// A setting of the kernel's below `/proc/sys`.
enum KernelSetting {
    @discardableResult
    static func write(_ path: String, _ value: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(value.utf8)
        return Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }
}
