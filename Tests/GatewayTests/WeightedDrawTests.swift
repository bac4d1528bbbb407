import Gateway
import Testing

@Suite struct WeightedDrawTests {
    @Test(arguments: [[90, 10], [50, 50], [1, 99], [5, 95], [34, 33, 33], [0, 1]])
    func isNearlyExactFromAnyStart(_ weights: [Int]) throws {
        let total = weights.reduce(0, +)
        var generator = Seeded(state: 3)
        for _ in 0..<200 {
            var draw = WeightedDraw(seed: generator.next())
            var counts = weights.map { _ in 0 }
            for _ in 0..<2000 {
                let drawn = draw.next(weights)
                counts[try #require(drawn)] += 1
            }
            for (count, weight) in zip(counts, weights) {
                #expect(abs(Double(count) / 2000 - Double(weight) / Double(total)) < 0.004)
            }
        }
    }

    @Test func drawsNothingFromNothing() {
        var draw = WeightedDraw(seed: 1)
        let (zeroes, none) = (draw.next([0, 0]), draw.next([Int]()))
        #expect(zeroes == nil && none == nil)
    }
}

@Suite struct LatencyHistogramTests {
    @Test func bucketsAreInOrderAndHoldTheirBounds() {
        for bucket in 0..<LatencyHistogram.bucketCount {
            #expect(LatencyHistogram.bucket(microseconds: LatencyHistogram.lowerBound(of: bucket)) == bucket)
        }
    }

    @Test func answersQuantiles() {
        var histogram = LatencyHistogram()
        for microseconds in 1...1000 { histogram.record(nanoseconds: Int64(microseconds) * 1000) }
        #expect(histogram.total == 1000)
        #expect((400...500).contains(histogram.quantile(0.5)))
        #expect((800...990).contains(histogram.quantile(0.99)))
        #expect(LatencyHistogram().quantile(0.99) == 0)
    }
}
