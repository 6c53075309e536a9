package thor

// Features lists the features in their default cutover order. To add one,
// write its noun's file and add a line here; see docs/integration-guide.md.
var Features = []Feature{
	accountBalanceFeature(),
	positionsFeature(),
	intradayFeature(),
	globalMarketFeature(),
}
