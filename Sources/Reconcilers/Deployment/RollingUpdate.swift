/// The arithmetic of a Deployment's update: how many pods each ReplicaSet should have next. A pure value over counts.
package struct RollingUpdate: Sendable, Equatable {
    /// One ReplicaSet as it stands.
    package struct Set: Sendable, Equatable {
        package var replicas: Int
        package var available: Int
        /// A status that lags behind a count that was lowered still holds pods that are to go: they are not counted on.
        package init(replicas: Int, available: Int) {
            self.replicas = replicas
            self.available = min(available, replicas)
        }
    }

    let replicas: Int
    let surge: Int
    let unavailable: Int
    var new: Set
    /// Oldest first.
    var old: [Set]

    package init(replicas: Int, surge: Int, unavailable: Int, new: Set, old: [Set]) {
        self.replicas = replicas
        self.surge = surge
        self.unavailable = unavailable
        self.new = new
        self.old = old
    }

    /// The next counts: the new ReplicaSet's, and those of the old ones in the same order.
    package func next() -> (new: Int, old: [Int]) {
        let total = new.replicas + old.reduce(0) { $0 + $1.replicas }
        var grown = new.replicas
        if old.allSatisfy({ $0.replicas == 0 }) || new.replicas > replicas {
            grown = replicas
        } else if new.replicas < replicas {
            let room = replicas + surge - total
            if room > 0 { grown = min(replicas, new.replicas + room) }
        }
        return (grown, shrunk(total))
    }

    private func shrunk(_ total: Int) -> [Int] {
        var counts = old.map(\.replicas)
        let least = replicas - unavailable
        let newMissing = max(0, new.replicas - new.available)
        var room = total - least - newMissing
        if room <= 0 { return counts }
        // Pods that do not serve go first; they take nothing away.
        for index in counts.indices where room > 0 {
            let idle = max(0, counts[index] - old[index].available)
            let gone = min(idle, room)
            counts[index] -= gone
            room -= gone
        }
        // Then those that serve, as long as enough others do.
        var spare = new.available + old.reduce(0) { $0 + $1.available } - least
        for index in counts.indices where spare > 0 {
            let gone = min(counts[index], spare)
            counts[index] -= gone
            spare -= gone
        }
        return counts
    }
}
