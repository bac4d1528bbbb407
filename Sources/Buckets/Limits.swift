/// What this module refuses to go beyond.
enum BucketLimits {
    /// Bytes of an object that is sent with one request, and of one part of a larger one; at most 10,000 parts are
    /// allowed. What is smaller than 5 MiB may only be the last part.
    static let partBytes = 8 * 1024 * 1024
    /// Bytes of a configuration file.
    static let fileBytes = 1024 * 1024
    /// Bytes of an answer that a message repeats.
    static let messageBytes = 300
}
