internal import Documents

/// What a container asks of the node and may not exceed, in bytes and thousandths of a CPU. `nil`: nothing is said.
package struct ContainerResources: Sendable, Hashable {
    package var requestedCPU: Int?
    package var requestedMemory: Int?
    package var limitCPU: Int?
    package var limitMemory: Int?

    package init() {}

    /// A limit without a request is a request too, as in core/v1.
    init(_ json: JSON?) {
        func amount(_ part: String, _ resource: String, scale: Int) -> Int? {
            guard let value = json?[part]?[resource] else { return nil }
            let text = value.stringValue ?? value.integerValue.map(String.init) ?? ""
            guard let quantity = Quantity(parsing: text) else { return nil }
            return scale == 1 ? Int(clamping: quantity.value) : Int(clamping: quantity.milliValue)
        }
        limitCPU = amount("limits", "cpu", scale: 1000)
        limitMemory = amount("limits", "memory", scale: 1)
        requestedCPU = amount("requests", "cpu", scale: 1000) ?? limitCPU
        requestedMemory = amount("requests", "memory", scale: 1) ?? limitMemory
    }

    var groupLimits: ControlGroups.ContainerLimits {
        .init(memoryBytes: limitMemory, cpuMillicores: limitCPU, cpuRequestMillicores: requestedCPU)
    }
}
