internal import ArgumentParser
internal import Logging

/// What commands that run until they are stopped say on standard error.
struct LogOptions: ParsableArguments {
    @Option(help: "Least that is logged: trace, debug, info, notice, warning, error.")
    var logLevel = "info"

    func validate() throws {
        if Logger.Level(rawValue: logLevel) == nil {
            throw ValidationError(
                "--log-level: expected trace, debug, info, notice, warning or error, found \"\(logLevel)\"")
        }
    }

    var logger: Logger {
        var logger = Logger(label: "espalier") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        return logger
    }
}
