import APIServer

/// Frames of SPDY/3.1, as a stranger with a pod to reach sends them. What is read, written again and read again is the
/// same.
func fuzzSPDY(_ input: [UInt8]) {
    // Cut where the first byte says, as a socket would.
    let frames = readFrames(input, piece: max(1, Int(input.first ?? 1)))
    var bytes: [UInt8] = []
    var writer = SPDYFrameWriter()
    for frame in frames { bytes += writer.bytes(frame) }
    check(readFrames(bytes, piece: 1 << 16) == frames, "frames that were written are not read again: \(frames)")
}

/// The frames up to the first that is none, without those nobody heeds.
private func readFrames(_ input: [UInt8], piece: Int) -> [SPDYFrame] {
    var reader = SPDYFrameReader()
    var frames: [SPDYFrame] = []
    for start in stride(from: 0, to: input.count, by: piece) {
        reader.append(input[start..<min(start + piece, input.count)])
        var next = try? reader.next()
        while let frame = next {
            if frame != .ignored { frames.append(frame) }
            next = try? reader.next()
        }
    }
    return frames
}
