package app

import (
	"log/slog"
	"testing"
	"time"

	"thor"
)

// speak stores an event and appends it to the logs, as jobs and pipeline do.
func (a *App) speak(t *testing.T, id thor.StreamID) {
	t.Helper()
	events, err := a.store.Append(t.Context(), time.Now(), []thor.Event{{Stream: id, Type: "x", Key: "k", Data: []byte(`{}`)}})
	if err == nil {
		err = a.layer.Publish(t.Context(), events)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	t.Run("it says how often it comes, when to worry, and where the public streams are", func(t *testing.T) {
		t.Parallel()
		a := newApp(t)
		for _, id := range []thor.StreamID{"positions:PAPER-1", "global_market", "intraday:CRYPTO.BTC-USD", "intraday:CRYPTO.BTC-USD"} {
			a.speak(t, id)
		}
		h := a.nextHeartbeat(4)
		if h.IntervalMS != 5000 || h.StaleAfterMS != 15_000 || h.ActiveJobs != 4 || h.HeartbeatCount != 1 || h.Timestamp.IsZero() {
			t.Errorf("heartbeat %+v", h)
		}
		if again := a.nextHeartbeat(4); again.HeartbeatCount != 2 {
			t.Errorf("the next has the count %d", again.HeartbeatCount)
		}
		if _, shown := h.Streams["positions:PAPER-1"]; shown {
			t.Error("a private stream is shown to everybody")
		}
		market, bars := h.Streams["global_market"], h.Streams["intraday:CRYPTO.BTC-USD"]
		if market.Seq != 1 || market.CadenceMS != 0 || bars.Seq != 2 || bars.CadenceMS != 1000 {
			t.Errorf("global_market %+v, intraday %+v", market, bars)
		}
		if market.AgeMS < 0 || market.AgeMS > time.Minute.Milliseconds() {
			t.Errorf("an age of %d ms", market.AgeMS)
		}
	})
	t.Run("a cadence that is another on a fast clock is announced", func(t *testing.T) {
		t.Parallel()
		c := Default()
		c.Addr, c.Data, c.SimSpeed = "localhost:0", t.TempDir(), 5
		a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		a.speak(t, "intraday:CRYPTO.BTC-USD")
		if got := a.nextHeartbeat(0).Streams["intraday:CRYPTO.BTC-USD"].CadenceMS; got != 200 {
			t.Errorf("a cadence of %d ms, want 200", got)
		}
	})
}
