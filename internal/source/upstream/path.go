package upstream

import "slices"

// FeaturePath is a path of the backend where a feature is read, with {names} in
// it.
type FeaturePath struct {
	Feature string
	Path    string
}

// FeaturePaths are the paths that clients of the backend read the features
// from: those that are asked here, and those that say the same.
func (m *Mapping) FeaturePaths() []FeaturePath {
	var list []FeaturePath
	for _, e := range []struct {
		feature string
		Endpoint
	}{
		{"account_balance", m.Balance}, {"positions", m.Positions}, {"intraday", m.Bars}, {"global_market", m.Markets},
	} {
		for _, path := range slices.Concat(e.Path, e.Also) {
			list = append(list, FeaturePath{e.feature, path})
		}
	}
	return list
}
