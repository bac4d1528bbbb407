import Documents

@testable import Client

/// What some server, or somebody's kubeconfig, says to our client: discovery, refusals, the lines of a watch.
func fuzzClient(_ input: [UInt8]) {
    if let json = try? JSONParser.parse(input) {
        for resource in DiscoveredResource.all(in: json) + DiscoveredResource.all(listedBy: json) {
            check(!resource.information.resource.resource.contains("/"), "a subresource is listed")
        }
        if let error = APIError(status: json) {
            check(APIError(status: error.status) == error, "a refusal does not read back: \(json.text())")
        }
    }
    let resource = GroupResource(group: "", resource: "configmaps")
    var whole = WatchEventReader(resource: resource)
    var pieces = WatchEventReader(resource: resource)
    let isRead = (try? whole.read(input)) != nil
    var arePiecesRead = true
    for start in stride(from: 0, to: input.count, by: 7) where arePiecesRead {
        arePiecesRead = (try? pieces.read(Array(input[start..<min(start + 7, input.count)]))) != nil
    }
    check(isRead == arePiecesRead, "a stream is read whole or in pieces, and not both")
    let isSame =
        whole.ready.map(\.document.json) == pieces.ready.map(\.document.json) && whole.revision == pieces.revision
    check(isSame && whole.hasBegun == pieces.hasBegun, "a stream in pieces says something else")
    guard let endpoint = try? Kubeconfig.endpoint(input, file: "fuzz", readFile: { _ in [] }) else { return }
    check((1...65535).contains(endpoint.port) && !endpoint.host.isEmpty, "an endpoint without an address")
}
