internal import Glibc

/// How many files, sockets included, this process may have open.
package enum OpenFiles {
    /// Enough for every connection; programs that walk over all possible descriptors stay fast with it.
    private static let wanted = 65_536

    /// The limit as it is.
    package static var limit: Int { current.map { Int(clamping: $0.rlim_cur) } ?? 1024 }

    /// Raises the soft limit, often a mere 1,024, as far as the hard one allows. False where that fails.
    package static func raiseLimit() -> Bool {
        guard var limit = current else { return false }
        let raised = min(limit.rlim_max, rlim_t(wanted))
        if limit.rlim_cur >= raised { return true }
        limit.rlim_cur = raised
        return setrlimit(resource, &limit) == 0
    }

    private static var resource: __rlimit_resource_t { __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)) }

    private static var current: rlimit? {
        var limit = rlimit()
        return getrlimit(resource, &limit) == 0 ? limit : nil
    }
}
