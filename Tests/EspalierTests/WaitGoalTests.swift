import Documents
import Testing

@testable import espalier

/// What `wait --for` understands, and when it is reached.
struct WaitGoalTests {
    private let shop = Document([
        "status": ["weight": 10, "active": "shop-2", "conditions": [["type": "Ready", "status": "False"]]]
    ])

    @Test(
        arguments: [
            ("condition=Ready", false), ("condition=Ready=false", true), ("condition=ready=False", true),
            ("condition=Other", false), ("jsonpath={.status.weight}=10", true), ("jsonpath={.status.weight}=1", false),
            ("jsonpath={.status.active}=shop-2", true), ("jsonpath={.status.active}", true),
            ("jsonpath={.status.none}", false), ("create", true), ("delete", false),
        ])
    func goals(_ text: String, _ isReached: Bool) throws {
        #expect(try WaitGoal(parsing: text).isReached(by: shop) == isReached)
    }

    @Test func whatIsGone() throws {
        #expect(try WaitGoal(parsing: "delete").isReached(by: nil))
        #expect(try !WaitGoal(parsing: "create").isReached(by: nil))
        #expect(try !WaitGoal(parsing: "condition=Ready").isReached(by: nil))
    }

    @Test(arguments: [
        "", "ready", "condition", "condition=", "jsonpath={.a", "jsonpath={.a}b", "jsonpath={.a}=", "delete=1",
    ])
    func refused(_ text: String) { #expect(throws: (any Error).self) { try WaitGoal(parsing: text) } }

    @Test func times() throws {
        #expect(try WaitCommand.duration("0") == .zero)
        #expect(try WaitCommand.duration("1h30m") == .seconds(5400))
        #expect(throws: (any Error).self) { try WaitCommand.duration("soon") }
    }
}
