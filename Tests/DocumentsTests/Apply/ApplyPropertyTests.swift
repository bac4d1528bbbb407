import Documents
import Seams
import Testing

/// Properties that hold for every sequence of writes, over random ones. A failure prints its seed.
@Suite struct ApplyPropertyTests {
    /// SplitMix64: small, and the same everywhere.
    struct Generator: RandomSource, RandomNumberGenerator {
        // SAFETY: one test, one task.
        final class State: @unchecked Sendable { var value: UInt64 = 0 }
        let state = State()
        init(seed: UInt64) { state.value = seed }

        func next() -> UInt64 {
            state.value &+= 0x9E37_79B9_7F4A_7C15
            var z = state.value
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }

        func pick<T>(_ values: [T]) -> T { values[next(below: values.count)] }
        func chance(_ percent: Int) -> Bool { next(below: 100) < percent }
    }

    /// A random configuration that fits `widget`. No empty lists: nobody can own one.
    static func config(_ random: Generator) -> JSON {
        var spec = JSONObject()
        func maybe(_ name: String, _ value: () -> JSON) { if random.chance(40) { spec[name] = value() } }
        maybe("color") { .string(random.pick(["Red", "Green"])) }
        maybe("size") { .integer(Int64(random.next(below: 3))) }
        maybe("frame") { random.chance(50) ? ["material": "oak"] : ["material": "ash", "lid": ["hinged": true]] }
        maybe("ports") { items(random) { ["name": .string($0), "port": .integer(Int64(random.next(below: 2)))] } }
        maybe("taps") {
            random.chance(50) ? [["port": 1]] : [["port": 1, "protocol": "UDP", "note": "n"], ["port": 2]]
        }
        maybe("tags") { items(random) { .string($0) } }
        maybe("words") { items(random) { .string($0) } }
        maybe("choice") { random.pick([["a": "1"], ["b": "1"]]) }
        maybe("notes") { random.pick([["x": "1"], ["x": "2", "y": "1"], ["y": "2"]]) }
        maybe("extra") { random.pick([["p": ["q": 1]], ["p": ["q": 2, "r": [1, 2]], "s": "t"]]) }
        var document = widgetDocument("{}")
        if !spec.isEmpty { document["spec"] = .object(spec) }
        if random.chance(30) { document["metadata"]?["labels"] = random.pick([["a": "1"], ["a": "2", "b": "1"]]) }
        return document
    }

    private static func items(_ random: Generator, _ make: (String) -> JSON) -> JSON {
        var names = ["a", "b", "c"].filter { _ in random.chance(60) }
        if names.isEmpty { names = ["a"] }
        if random.chance(30) { names.reverse() }
        return .array(names.map(make))
    }

    private static let type = MergeType.root(widget)

    @Test(arguments: 0..<400)
    func sequences(seed: Int) throws {
        let random = Generator(seed: UInt64(seed))
        var stage = Stage()
        for _ in 0..<12 {
            let manager = random.pick(["a", "b", "c"])
            let config = Self.config(random)
            if random.chance(70) {
                try stage.apply(manager, document: config, force: true)
                let once = stage.live
                try stage.apply(manager, document: config, force: true)
                #expect(stage.live?.text() == once?.text(), "seed \(seed): applying twice is applying once")
                Self.expectContained(config, in: stage.live ?? .null, seed)
            } else {
                let metadata = stage.live?["metadata"] ?? ["name": "alpha"]
                var next = config
                next["metadata"] = metadata
                stage.write(manager, document: next)
                let once = stage.live
                stage.write(manager, document: once ?? .null)
                #expect(stage.live?.text() == once?.text(), "seed \(seed): writing what is there changes nothing")
            }
            // Once nobody owns anything, writes that are no applies go unrecorded.
            if stage.owners.isEmpty { return }
            Self.expectPartition(stage.live ?? .null, seed)
        }
    }

    /// Every field has an owner, and every owned field exists.
    private static func expectPartition(_ live: JSON, _ seed: Int) {
        guard let managed = ManagedFields(live["metadata"]?["managedFields"]) else {
            Issue.record("seed \(seed): the managed fields cannot be read back")
            return
        }
        let text = live["metadata"]?["managedFields"]?.text() ?? "[]"
        #expect(managed.json.text() == text, "seed \(seed): round trip")
        var bare = live
        bare["metadata"]?["managedFields"] = nil
        bare["metadata"]?["name"] = nil
        bare["apiVersion"] = nil
        bare["kind"] = nil
        let existing = type.fieldSet(of: bare)
        let orphans = existing.leaves.difference(managed.owned).paths.map(\.text).filter { $0 != ".metadata" }
        #expect(orphans.isEmpty, "seed \(seed): fields without an owner")
        let ghosts = managed.owned.difference(everything(in: bare)).paths.map(\.text)
        #expect(ghosts.isEmpty, "seed \(seed): owned fields that are not there")
    }

    /// What is compared with nothing is all added: objects and lists included.
    private static func everything(in bare: JSON) -> FieldSet {
        type.compare(.object(JSONObject()), bare).added.union(type.fieldSet(of: bare))
    }

    private static func expectContained(_ config: JSON, in live: JSON, _ seed: Int) {
        let merged = type.merge(live, config)
        #expect(type.compare(live, merged).isSame, "seed \(seed): what was applied holds")
    }

    /// Pruning in one step is the same as the three steps that structured-merge-diff describes: take everything out,
    /// put back what has an owner, put back what the manager never had. (Where elements belong to nobody the three
    /// steps can lose them together with the last element that does; one step keeps them.)
    @Test(arguments: 0..<400)
    func pruningInOneStep(seed: Int) {
        let random = Generator(seed: UInt64(seed) &+ 1_000_000)
        let type = Self.type
        let merged = type.merge(type.merge(Self.config(random), Self.config(random)), Self.config(random))
        let existing = type.fieldSet(of: merged)
        let last = type.fieldSet(of: Self.config(random)).intersection(existing)
        let owned = type.fieldSet(of: Self.config(random)).union(
            Self.taken(type.fieldSet(of: Self.config(random)), random)
        )
        .intersection(existing).union(existing.difference(last))
        func remove(_ set: FieldSet) -> JSON { type.remove(set, from: merged) ?? .object(JSONObject()) }
        func named(_ document: JSON) -> FieldSet { type.withNamedMembers(type.fieldSet(of: document)) }

        let without = remove(type.withNamedMembers(last))
        let back = remove(named(merged).difference(named(without).union(type.withNamedMembers(owned))))
        let reference = remove(named(merged).difference(named(back)).intersection(type.withNamedMembers(last)))
        let oneStep = remove(type.withNamedMembers(last).difference(type.withNamedMembers(owned)))
        #expect(oneStep.text() == reference.text(), "seed \(seed)")
    }

    /// What an updater may own: any fields but those that name an element.
    private static func taken(_ set: FieldSet, _ random: Generator) -> FieldSet {
        FieldSet(
            paths: set.paths.filter { path in
                let name = path.last?.fieldName
                let isInTap = path.contains(.field("taps")) && name == "port"
                return name != nil && name != "name" && name != "protocol" && !isInTap && random.chance(50)
            })
    }

    private static func partOf(_ set: FieldSet, _ random: Generator) -> FieldSet {
        FieldSet(paths: set.paths.filter { _ in random.chance(50) })
    }

    @Test(arguments: 0..<200)
    func setsBehaveAsSets(seed: Int) {
        let random = Generator(seed: UInt64(seed) &+ 2_000_000)
        let left = Self.partOf(Self.type.fieldSet(of: Self.config(random)), random)
        let right = Self.partOf(Self.type.fieldSet(of: Self.config(random)), random)
        func paths(_ set: FieldSet) -> Set<FieldPath> { Set(set.paths) }
        #expect(paths(left.union(right)) == paths(left).union(paths(right)))
        #expect(paths(left.difference(right)) == paths(left).subtracting(paths(right)))
        #expect(paths(left.intersection(right)) == paths(left).intersection(paths(right)))
        #expect(FieldSet(fieldsV1: left.fieldsV1) == left)
        var shuffler = random
        #expect(FieldSet(paths: left.paths.shuffled(using: &shuffler)) == left)
    }
}
