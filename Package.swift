// swift-tools-version: 6.2

// The list of targets is a table, one module a line:
// swift-format-ignore-file

import PackageDescription

// One target per module of the architecture, in the order data passes through them. A target imports only targets
// above it in this list; Tests/TidyTests holds the same table and fails when an import goes the other way.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
let webSocket: Target.Dependency = .product(name: "NIOWebSocket", package: "swift-nio")
let embedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let tls: [Target.Dependency] = [.product(name: "NIOSSL", package: "swift-nio-ssl")]
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let certificates: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "espalier",
    products: [
        .executable(name: "espalier", targets: ["espalier"]),
        .executable(name: "espalier-shim", targets: ["espalier-shim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CBundle", exclude: ["kinds", "protobuf"]),
        .target(name: "CShim"),
        .executableTarget(
            name: "espalier-shim", dependencies: ["CShim"],
            linkerSettings: [.unsafeFlags(["-nostartfiles", "-static-executable"])]),
        module("Seams"),
        module("Documents", ["Seams", "CYAML"]),
        module("Journal", ["Seams"] + [crypto]),
        module("Store", ["Seams", "Documents", "Journal"] + [crypto]),
        module("CEL", ["Documents"]),
        module("Admission", ["Seams", "Documents", "CEL"]),
        module("Client", ["Seams", "Documents"] + nio + tls),
        module("Buckets", ["Seams", "Documents", "Store", "Client"] + [crypto]),
        module("APIServer", ["Seams", "Documents", "Store", "Admission", "Client", "CBundle", "CZlib", webSocket, logging, certificates, crypto] + nio + tls),
        module("ControlLoop", ["Seams", "Documents", "Client", logging]),
        module("Reconcilers", ["Seams", "Documents", "Client", "ControlLoop", crypto, logging]),
        module("Node", ["Seams", "Documents", "Client", "CShim", logging] + nio),
        module("Gateway", ["Seams", "Documents", "Client", logging] + nio),
        module("Simulation", ["Seams", "Documents", "Journal", "Store", "Admission", "Client", "APIServer", "ControlLoop", "Reconcilers", logging] + nio),
        .executableTarget(
            name: "espalier",
            dependencies: [
                "Seams", "Documents", "Journal", "Store", "Admission", "Client", "Buckets", "APIServer", "ControlLoop", "Reconcilers",
                "Node", "Gateway", logging, arguments,
            ] + nio,
            exclude: ["index.md"], swiftSettings: settings),
        .testTarget(name: "CELTests", dependencies: ["Documents", "CEL"], swiftSettings: settings),
        .testTarget(name: "AdmissionTests", dependencies: ["Documents", "CEL", "Admission"], exclude: ["Golden"], swiftSettings: settings),
        .testTarget(name: "DocumentsTests", dependencies: ["Seams", "Documents"], exclude: ["Golden"], swiftSettings: settings),
        .testTarget(name: "BucketsTests", dependencies: ["Seams", "Documents", "Client", "Buckets"], swiftSettings: settings),
        .testTarget(
            name: "ClientTests", dependencies: ["Seams", "Documents", "Client", "APIServer"] + nio, swiftSettings: settings),
        .testTarget(
            name: "APIServerTests",
            dependencies: ["Seams", "Documents", "Client", "Store", "APIServer", "Simulation", embedded] + nio,
            swiftSettings: settings),
        .testTarget(name: "EndToEndTests", dependencies: ["Seams", "Documents", "Store", "Buckets", "espalier"], swiftSettings: settings),
        .testTarget(name: "EspalierTests", dependencies: ["espalier", "Client", "Documents", "Seams"], swiftSettings: settings),
        .testTarget(
            name: "GatewayTests", dependencies: ["Seams", "Documents", "Client", "Gateway", "espalier", logging] + nio,
            swiftSettings: settings),
        .testTarget(
            name: "ControlLoopTests", dependencies: ["Seams", "Documents", "Client", "ControlLoop"], swiftSettings: settings),
        .testTarget(
            name: "ReconcilersTests", dependencies: ["Seams", "Documents", "Client", "ControlLoop", "Reconcilers"],
            swiftSettings: settings),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["Seams", "Documents", "Store", "Client", "APIServer", "ControlLoop", "Reconcilers", "Simulation"],
            swiftSettings: settings),
        .testTarget(name: "JournalTests", dependencies: ["Seams", "Journal", "Simulation"], swiftSettings: settings),
        .testTarget(
            name: "NodeTests", dependencies: ["Seams", "Documents", "Store", "Client", "APIServer", "Node", logging],
            swiftSettings: settings),
        .testTarget(
            name: "StoreTests", dependencies: ["Seams", "Documents", "Journal", "Store", "Simulation"], swiftSettings: settings),
        .executableTarget(
            name: "StoreServer", dependencies: ["Seams", "Store"] + nio, path: "Tests/StoreServer", swiftSettings: settings),
        .testTarget(name: "TidyTests", swiftSettings: settings),
    ]
)

/// A library target of our own. Its `index.md` says what it is; its tests are in `Tests/<name>Tests`.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: ["index.md"], swiftSettings: settings)
}
