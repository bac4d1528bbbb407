/// A process named so that no later process of the same number can be taken for it.
package struct ProcessIdentity: Sendable, Hashable {
    package var pid: Int32
    /// Clock ticks from the machine's start to the process's, as the kernel counts them.
    package var startTime: UInt64

    package init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }
}

/// A program to start: argument vectors only, there is no shell. `arguments[0]` is the name the program sees.
package struct ProcessLaunch: Sendable {
    package var path: String
    package var arguments: [String]
    /// `NAME=value` each; nothing is inherited.
    package var environment: [String]
    /// The caller's descriptor for each of the program's own, from 0; -1 is /dev/null. All others are closed.
    package var descriptors: [Int32]

    package init(path: String, arguments: [String], environment: [String], descriptors: [Int32] = [-1, -1, -1]) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.descriptors = descriptors
    }
}

/// How a short program ended, and what it wrote to both outputs.
package struct ProcessResult: Sendable {
    /// 128 and the signal's number where a signal ended it.
    package var code: Int32
    package var output: [UInt8]
    package var text: String { String(decoding: output, as: UTF8.self) }

    package init(code: Int32, output: [UInt8]) {
        self.code = code
        self.output = output
    }
}

/// A program could not be started, or a process not be reached.
package struct ProcessError: Error, Sendable, CustomStringConvertible {
    package var message: String
    /// The system's error number; 0 where there is none.
    package var number: Int32
    package var description: String { message }

    package init(message: String, number: Int32 = 0) {
        self.message = message
        self.number = number
    }
}

/// Processes as the program sees them.
package protocol ProcessSpawner: Sendable {
    /// Starts a program in a session of its own. It outlives us unless somebody stops it.
    func start(_ launch: ProcessLaunch) throws(ProcessError) -> ProcessIdentity
    /// Runs a short program to its end, with `input` on its standard input; killed when `timeout` passes.
    func run(_ launch: ProcessLaunch, input: [UInt8], timeout: Duration) async throws(ProcessError) -> ProcessResult
    /// Whether exactly this process still runs.
    func isAlive(_ process: ProcessIdentity) -> Bool
    /// Sends a signal to exactly this process; answers whether it was there to receive it.
    @discardableResult
    func signal(_ process: ProcessIdentity, _ signal: Int32) -> Bool
    /// Returns when this process has ended, at once where it has already; also when the task is cancelled.
    func waitForExit(_ process: ProcessIdentity) async
}
