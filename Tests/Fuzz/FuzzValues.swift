import Documents
import Seams

let sample: JSON = [
    "metadata": ["name": "a", "labels": ["app.kubernetes.io/name": "web"], "finalizers": ["x", "y"]],
    "spec": [
        "replicas": 3, "f": 1.5, "list": [10, 20, 30], "rules": [["host": "a", "n": 1], ["host": "b", "n": 2]],
    ],
]

let sampleSchema = Schema([
    "type": "object",
    "properties": [
        "spec": [
            "type": "object",
            "properties": [
                "rules": [
                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host", "n"],
                    "items": ["type": "object", "properties": ["n": ["type": "integer", "default": 1]]],
                ],
                "list": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "integer"]],
            ],
        ]
    ],
])

func fuzzValues(_ text: String) {
    if let path = try? JSONPath(parsing: text) { _ = path.values(in: sample) }
    if let quantity = Quantity(parsing: text) {
        let again = Quantity(parsing: quantity.description)
        check(again == quantity, "quantity does not read back: \(quantity)")
        _ = (quantity.value, quantity.milliValue)
    }
    if let instant = Instant(rfc3339: text) {
        let micros = Instant(nanoseconds: instant.nanoseconds / 1000 * 1000)
        let again = Instant(rfc3339: instant.rfc3339Micro)
        let isExact = instant.nanoseconds >= 0 && instant.nanoseconds < .max - 1000
        check(!isExact || again == micros, "time does not read back: \(instant.rfc3339Micro)")
        _ = instant.rfc3339
    }
    if let duration = GatewayDuration.parse(text) {
        let again = GatewayDuration.parse(GatewayDuration.text(duration))
        check(again == duration || duration >= .seconds(99_999 * 3600), "duration does not read back: \(text)")
        _ = HumanDuration.text(duration)
    }
    _ = Base64.decode(text)
    _ = try? JSONPointer(parsing: text).value(in: sample)
    _ = LabelSyntax.problem(withKey: text)
    for format in ["date-time", "byte", "ipv4", "int32", "unheard-of"] { _ = Formats.accepts(text, format: format) }
}

/// The input is a patch, or `[document, patch]`.
func fuzzPatches(_ input: UnsafeBufferPointer<UInt8>) {
    guard let value = try? JSONParser.parse(input) else { return }
    var (document, patch) = (sample, value)
    if let pair = value.arrayValue, pair.count == 2, pair[0].objectValue != nil, pair[0]["op"] == nil {
        (document, patch) = (pair[0], pair[1])
    }
    let merged = MergePatch.apply(patch, to: document)
    check(MergePatch.apply(patch, to: merged) == merged, "a merge patch applied twice differs")
    if let result = try? JSONPatch.apply(patch, to: document) {
        check(
            (try? JSONParser.parse(result.encoded, maximumBytes: .max)) == result,
            "a JSON patch made what cannot be read: \(result)")
    }
    if let result = try? StrategicMergePatch.apply(patch, to: document, schema: sampleSchema) { _ = result.encoded }
}
