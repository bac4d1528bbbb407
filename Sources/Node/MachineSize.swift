internal import Glibc

/// What this machine has.
enum MachineSize {
    /// In thousandths of a CPU.
    static let cpu = sysconf(Int32(_SC_NPROCESSORS_ONLN)) * 1000
    /// In bytes.
    static let memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
}
