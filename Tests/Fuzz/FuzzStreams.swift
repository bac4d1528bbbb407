import APIServer

/// Frames of SPDY/3.1, as a stranger with a pod to reach sends them. What is read, written again and read again is the
/// same.
func fuzzSPDY(_ input: [UInt8]) {
    var reader = SPDYFrameReader()
    var frames: [SPDYFrame] = []
    // Cut where the first byte says, as a socket would.
    let piece = max(1, Int(input.first ?? 1))
    for start in stride(from: 0, to: input.count, by: piece) {
        reader.append(input[start..<min(start + piece, input.count)])
        do {
            while let frame = try reader.next() {
                if frame != .ignored { frames.append(frame) }
            }
        } catch {
            break
        }
    }
    var writer = SPDYFrameWriter()
    var again = SPDYFrameReader()
    for frame in frames {
        again.append(writer.bytes(frame))
        guard let read = try? again.next() else { return check(false, "a frame is lost: \(frame)") }
        check(read == frame, "\(frame) became \(read)")
    }
}
