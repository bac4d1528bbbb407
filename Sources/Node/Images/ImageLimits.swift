/// Every bound of what deals with images.
package enum ImageLimits {
    /// Bytes of one answer of an engine: the list of all images is the longest.
    static let answerBytes = 32 << 20
    /// Bytes of one object in a stream of progress.
    static let progressBytes = 1 << 20
    /// Bytes of an error's text that is passed on.
    static let messageBytes = 4096
    /// Lines of a failed build's log that its error repeats.
    static let buildLines = 20
    /// Bytes of a Secret with credentials; Kubernetes lets none be larger.
    static let secretBytes = 1 << 20
    /// Bytes of a build context that are read and sent at a time.
    static let contextChunkBytes = 256 << 10
    /// Files and folders of one build context.
    static let contextFiles = 500_000
    /// Layers of one image: overlayfs takes no more.
    static let layers = 500
}

/// How long an engine may take.
package struct EngineDeadlines: Sendable {
    /// For all of a call that needs nobody but the engine, from connecting to the last byte.
    package var call = Duration.seconds(60)
    /// For an engine that is only asked who it is.
    package var discovery = Duration.seconds(10)
    /// A pull or a build as a whole …
    package var pull = Duration.seconds(3600)
    package var build = Duration.seconds(4 * 3600)
    /// … and the longest that neither side says a word meanwhile. Engines report a large layer's progress more often.
    package var pullSilence = Duration.seconds(300)
    package var buildSilence = Duration.seconds(3600)

    package init() {}
}
