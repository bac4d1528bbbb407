import APIServer
import Documents
import Simulation
import Testing

/// Cells that must not mislead.
struct ColumnTests {
    private func cell(_ group: String, _ resource: String, _ column: String, _ json: JSON) throws -> JSON? {
        let api = try TestAPI()
        let columns = try api.resource(GroupResource(group: group, resource: resource)).columns
        let found = try #require(columns.first { $0.definition.name == column })
        return found.cell(of: Document(json), now: api.clock.now())
    }

    @Test(arguments: ["IP", "Node", "Nominated Node"]) func whatAPodDoesNotHaveIsNone(column: String) throws {
        #expect(try cell("", "pods", column, ["metadata": ["name": "a"], "spec": [:]]) == "<none>")
    }

    @Test func aManagedServiceThatNobodyRunsIsNotRunning() throws {
        let document: JSON = [
            "spec": ["engine": "PostgreSQL", "state": "Running"],
            "status": ["conditions": [["type": "Ready", "status": "False", "reason": "NoReconciler"]]],
        ]
        #expect(try cell("espalier.dev", "managedservices", "State", document) == "NoReconciler")
    }

    @Test func aRolloutCountsItsStepsFromOne() throws {
        let document: JSON = ["status": ["step": 1, "place": "2/4"]]
        #expect(try cell("espalier.dev", "rollouts", "Step", document) == "2/4")
    }
}
