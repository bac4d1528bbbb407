import Documents
import Testing

@testable import espalier

@Suite struct TableLayoutTests {
    private func table(_ names: [String], columns: Bool = true) -> JSON {
        var table: JSON = [
            "kind": "Table",
            "rows": .array(
                names.map {
                    [
                        "cells": [.string($0), 2, nil, "two\nlines"],
                        "object": ["metadata": ["name": .string($0), "namespace": "team-a"]],
                    ]
                }),
        ]
        table["columnDefinitions"] =
            columns
            ? [
                ["name": "Name", "priority": 0], ["name": "Ready"], ["name": "Url", "priority": 0],
                ["name": "Note", "priority": 1],
            ] : nil
        return table
    }

    @Test func columnsOfPriorityAreForWideOutput() {
        var layout = TableLayout(isWide: false, showsNamespace: false)
        #expect(layout.text(of: table(["shop"])).lines() == ["NAME   READY   URL", "shop   2"])
        layout = TableLayout(isWide: true, showsNamespace: true)
        #expect(
            layout.text(of: table(["shop"])).lines() == [
                "NAMESPACE   NAME   READY   URL   NOTE", "team-a      shop   2             two\\nlines",
            ])
    }

    @Test func laterTablesOfAWatchHaveNoColumnsOfTheirOwn() {
        var layout = TableLayout(isWide: false, showsNamespace: false)
        let widths = layout.text(of: table(["long-name"])).widths()
        let later = layout.text(of: table(["b"], columns: false))
        #expect(later.lines(withHeader: false, minimumWidths: widths) == ["b           2"])
    }

    @Test func namesSayTheirKindWhereThereAreSeveral() {
        var layout = TableLayout(isWide: false, showsNamespace: false)
        #expect(layout.text(of: table(["a"]), prefix: "pod/").rows[0][0] == "pod/a")
    }
}
