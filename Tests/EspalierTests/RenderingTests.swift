import Testing

@testable import espalier

@Suite struct RenderingTests {
    @Test func columnsAreThreeSpacesApartAndLinesEndWithoutSpaces() {
        let table = TextTable(
            header: ["NAME", "READY", "URL"], rows: [["shop", "True", "http://shop"], ["a-long-name", "False", ""]])
        #expect(
            table.lines() == [
                "NAME          READY   URL",
                "shop          True    http://shop",
                "a-long-name   False",
            ])
    }

    @Test func laterRowsKeepTheWidthsOfEarlierOnes() {
        let table = TextTable(header: ["NAME", "READY"], rows: [["b", "True"]])
        #expect(table.lines(withHeader: false, minimumWidths: [11, 5]) == ["b             True"])
    }

    @Test func equalTextsHaveNoDifference() {
        #expect(LineDifference.unified(from: ["a", "b"], to: ["a", "b"], names: ("x", "y")).isEmpty)
    }

    @Test func aDifferenceShowsThreeLinesAroundAChange() {
        let old = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
        var new = old
        new[4] = "five"
        #expect(
            LineDifference.unified(from: old, to: new, names: ("live", "file")) == [
                "--- live", "+++ file", "@@ -2,7 +2,7 @@", " 2", " 3", " 4", "-5", "+five", " 6", " 7", " 8",
            ])
    }

    @Test func aNewTextIsAllAdded() {
        #expect(
            LineDifference.unified(from: [], to: ["a", "b"], names: ("live", "file")) == [
                "--- live", "+++ file", "@@ -0,0 +1,2 @@", "+a", "+b",
            ])
    }

    @Test func farChangesAreHunksOfTheirOwn() {
        let old = (1...20).map(String.init)
        var new = old
        new[1] = "two"
        new[17] = "eighteen"
        let hunks = LineDifference.unified(from: old, to: new, names: ("a", "b")).filter { $0.hasPrefix("@@") }
        #expect(hunks == ["@@ -1,5 +1,5 @@", "@@ -15,6 +15,6 @@"])
    }
}
