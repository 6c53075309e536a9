package cutover

import (
	"github.com/twmb/murmur3"

	"thor"
)

// DataSource is where a client gets what it renders of a feature. The client is
// "" when it is not known who is asking; then it is REST until the stage is
// live.
func (k *Controller) DataSource(feature, client string) thor.DataSource {
	k.mu.RLock()
	s := k.state(feature)
	k.mu.RUnlock()
	return assign(s.Effective, client)
}

func assign(s thor.FeatureStage, client string) thor.DataSource {
	switch {
	case s.Stage >= thor.StageLive:
		return thor.DataSourceWS
	case s.Stage == thor.StageCanary && client != "" && bucket(s.Feature, client) < uint32(s.Weight)*100: //nolint:gosec // 0 to 100
		return thor.DataSourceWS
	}
	return thor.DataSourceREST
}

// bucket puts a client into one of 10,000 buckets of a feature: the lowest come
// first in canary, so raising the weight only adds clients.
func bucket(feature, client string) uint32 {
	return murmur3.StringSum32(feature+"\x00"+client) % 10_000
}
