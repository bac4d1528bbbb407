import Client
import ControlLoop
import Documents
import Reconcilers
import Testing

@Suite struct LoopSelectionTests {
    private func selected(_ text: String) throws -> [String] { names(try LoopSelection(text)) }

    private func names(_ selection: LoopSelection) -> [String] {
        Loops.reconcilers(LoopSettings(secretKey: [], publicPort: 80)).filter(selection.contains)
            .map(\.primary.resource.resource)
    }

    @Test func words() throws {
        #expect(try selected("*") == LoopSelection.names)
        #expect(names(.all) == LoopSelection.names)
        #expect(try selected("none").isEmpty)
        #expect(try selected("landscapes,rollouts") == ["landscapes", "rollouts"])
        #expect(try selected("*,-deployments") == LoopSelection.names.filter { $0 != "deployments" })
        #expect(try selected("-deployments").isEmpty)
    }

    @Test func ownKindsLeaveTheClusterItsOwn() {
        let own = names(.ownKinds)
        #expect(own.contains("landscapes"))
        #expect(!own.contains("deployments") && !own.contains("services") && !own.contains("events"))
    }

    @Test(arguments: ["", "landscape", "landscapes,", "-", "landscapes,-x", "*,lands capes"])
    func wrongWords(text: String) {
        let error = #expect(throws: LoopSelection.Unknown.self) { _ = try LoopSelection(text) }
        #expect(error?.description.contains("landscapes, rollouts") == true)
    }
}
