package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"thor/internal/channel"
	"thor/internal/channel/channeltest"
	"thor/internal/channel/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLaws(t *testing.T) {
	t.Parallel()
	channeltest.Run(t, func(_ *testing.T, sink channel.Sink) channel.Layer { return &memory.Layer{Sink: sink} })
}
