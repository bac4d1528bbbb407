package import Documents
package import Store

/// A document as bytes, made once when it is written: members in byte order of their names, compact, and a gap where
/// the store puts the digits of its revision.
package struct EncodedDocument: Sendable {
    /// With `"resourceVersion":""` in its metadata.
    package let bytes: [UInt8]
    /// Where the digits go.
    package let revisionOffset: Int

    package init(_ document: Document) {
        var root = document.json.objectValue ?? JSONObject()
        var metadata = root["metadata"]?.objectValue ?? JSONObject()
        metadata["resourceVersion"] = ""
        root["metadata"] = .object(metadata)
        var writer = JSONWriter(reservingCapacity: 2048)
        var offset = 0
        writer.writeSorted(root) { writer, member in
            guard member.key == "metadata" else { return writer.writeSorted(member.value) }
            writer.writeSorted(metadata) { writer, member in
                if member.key == "resourceVersion" { offset = writer.bytes.count + 1 }
                writer.writeSorted(member.value)
            }
        }
        bytes = writer.bytes
        revisionOffset = offset
    }

    /// The bytes with a revision in the gap: what is stored once the revision is known.
    package func bytes(at revision: Revision) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 20)
        result.append(contentsOf: bytes[..<revisionOffset])
        result.append(contentsOf: revision.digits)
        result.append(contentsOf: bytes[revisionOffset...])
        return result
    }

    /// The bytes without a resourceVersion: what a dry run answers for a document that does not exist.
    package var bytesWithoutRevision: [UInt8] { bytes }
}
