package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source"
	"thor/internal/source/sim"
	"thor/internal/stream"
)

// openSource makes the source and its clock.
func (a *App) openSource(ctx context.Context) error {
	if err := a.makeSource(ctx); err != nil {
		return err
	}
	if a.tamper != nil {
		a.tamper(a)
	}
	return nil
}

func (a *App) makeSource(ctx context.Context) error {
	switch a.config.Source {
	case noneName:
		a.source, a.clock, a.origin = source.None{}, source.None{}.Clock(), "jobs outside"
		return nil
	case upstreamName:
		s, err := openUpstream(a.config)
		if err != nil {
			return err
		}
		a.backend = s
		a.source, a.clock, a.origin = s, s.Clock(), fmt.Sprintf("%s at %s", s.Name(), strings.TrimRight(a.config.Upstream, "/"))
		a.notes = append(a.notes, greet(ctx, s, a.config.Upstream))
		return nil
	case replayName:
		return a.openReplay()
	}
	// The simulator trades by the calendars of the binary alone: what it says is
	// a function of its seed and its clock, and no folder changes what it said.
	exchanges := a.days()
	if a.folder.Dir() != "" {
		var err error
		if exchanges, err = calendar.New(); err != nil {
			return err
		}
	}
	s, err := openSim(a.config, exchanges)
	if err != nil {
		return err
	}
	a.source, a.clock, a.origin = s, s.Clock(), fmt.Sprintf("%s with seed %d", simName, a.config.SimSeed)
	if s.Script != nil {
		a.origin += " and the script " + s.Script.Identity()
		a.notes = append(a.notes, scriptNote(s.Script))
	}
	return nil
}

// openSim makes the simulator the settings ask for.
func openSim(c Config, exchanges sim.Exchanges) (*sim.Source, error) {
	var clock source.Clock = source.WallClock{}
	if c.simVirtual() {
		start, err := c.simStart()
		if err != nil {
			return nil, err
		}
		if start.IsZero() {
			start = time.Now()
		}
		clock = source.NewVirtualClock(start, c.SimSpeed)
	}
	script, err := c.script()
	if err != nil {
		return nil, err
	}
	s := &sim.Source{
		Seed: c.SimSeed, Books: c.SimAccounts, Special: c.SimSpecial, Script: script, SourceClock: clock, Exchanges: exchanges,
	}
	return s, s.Validate()
}

// SimScript returns the text of a script of the simulator, if it is one.
func SimScript(name string) (string, error) {
	s, err := sim.OpenScript(name)
	if err != nil {
		return "", err
	}
	return s.Text(), nil
}

// scriptNote is what the operator should know of a script.
func scriptNote(s *sim.Script) string {
	return fmt.Sprintf("script %s: %s on purpose; docs/simulator.md says what they do", s.Name(), counted(s.Len(), "fault"))
}

// abilities are what the jobs read: the source, and the calendar for markets,
// whose state never depends on a source.
func (a *App) abilities(ctx context.Context) (source.Abilities, error) {
	from := a.sourceAbilities()
	told, err := a.toldMarkets(ctx)
	from.Markets = &markets{days: a.days, clock: a.clock, told: told}
	return from, err
}

// sourceAbilities are what the jobs read of the source.
func (a *App) sourceAbilities() source.Abilities {
	from := source.AbilitiesOf(a.source)
	if from.Accounts != nil {
		shared := &source.SharedAccounts{
			Source: &heldAccounts{from.Accounts, a.pace}, MaxAge: a.wall(time.Second) / 2,
		}
		from.Accounts, from.Balances, from.Positions = shared, shared, shared
	} else if from.Positions != nil {
		from.Positions = &heldPositions{from.Positions, a.pace}
	}
	return from
}

// quiet is how long a symbol may be behind the others; one that is longer has
// left the source and is not waited for.
const quiet = 7 * 24 * time.Hour

// barsUntil is the oldest minute that may be incomplete in the store: of each
// symbol the oldest that is not final, or else the newest. What is too old to be
// kept is not asked for again.
func (a *App) barsUntil(ctx context.Context) (time.Time, error) {
	f, err := thor.FeatureNamed("intraday")
	if err != nil {
		return time.Time{}, err
	}
	ids, err := a.store.Streams(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var since, newest time.Time
	for _, id := range ids {
		if id.Feature() != f.Name {
			continue
		}
		_, events, err := a.store.Latest(ctx, id, thor.Window{Limit: f.Window})
		if err != nil {
			return time.Time{}, err
		}
		var open, last time.Time // of this symbol
		for _, e := range events {
			minute, err := time.Parse(time.RFC3339, e.Key)
			if err != nil {
				return time.Time{}, fmt.Errorf("the bar %s of %s: %w", e.Key, id, err)
			}
			if !e.Final && (open.IsZero() || minute.Before(open)) {
				open = minute
			}
			if minute.After(last) {
				last = minute
			}
		}
		if open.IsZero() {
			open = last
		}
		if since.IsZero() || open.Before(since) {
			since = open
		}
		if last.After(newest) {
			newest = last
		}
	}
	if since.IsZero() {
		return since, nil
	}
	for _, oldest := range []time.Time{newest.Add(-quiet), a.clock.Now().Add(-a.config.Retain)} {
		if since.Before(oldest) {
			since = oldest
		}
	}
	return since, nil
}

// fastest is how often a job runs at most on a fast clock.
const fastest = 100 * time.Millisecond

// wall is how long an interval of the source's time takes on the wall clock.
func (a *App) wall(interval time.Duration) time.Duration {
	speed := a.clock.Speed()
	if a.replay != nil && interval > 0 { // nothing comes more often than it was asked for then
		interval = max(interval, a.replay.Recording().Every)
	}
	if speed == 1 || interval == 0 {
		return interval
	}
	return max(fastest, time.Duration(float64(interval)/speed).Round(time.Millisecond))
}

// limits bounds the log of a stream: bars of the current session.
func (a *App) limits(id thor.StreamID) stream.Limits {
	f, err := thor.FeatureNamed(id.Feature())
	if err != nil || f.Window == 0 {
		return stream.Limits{}
	}
	return stream.Limits{Window: f.Window, Oldest: func(newest string) string { return a.oldest(id, newest) }}
}

// oldest is the first minute of the session that the minute newest of a symbol
// lies in. A symbol that trades at any hour has the UTC day for a session.
func (a *App) oldest(id thor.StreamID, newest string) string {
	at, err := time.Parse(time.RFC3339, newest)
	if err != nil {
		return ""
	}
	start := at.Truncate(24 * time.Hour)
	if session, ok := a.days().SessionAt(exchangeOf(id.Owner()), at); ok {
		start = session.Open
	}
	return start.UTC().Format(time.RFC3339)
}

// exchangeOf is the exchange whose sessions a symbol has, or "".
func exchangeOf(symbol string) string {
	switch thor.AssetClassOf(symbol) {
	case thor.AssetEquity, thor.AssetOption, thor.AssetIndex:
		return "XNYS"
	case thor.AssetFuture:
		return "CMES"
	case thor.AssetCrypto, thor.AssetFX:
	}
	return ""
}

// otherTime is how far ahead of the source's clock what is stored may be: a
// wall clock may have been set right in between.
const otherTime = time.Minute

// instant is a time to the millisecond.
const instant = "2006-01-02T15:04:05.000Z07:00"

// refuseOtherData keeps one store to one source and one time: data of another
// seed would contradict what is there, and data from later than the clock shows
// would hide everything that comes.
func (a *App) refuseOtherData(ctx context.Context) error {
	kept, err := a.store.Claim(ctx, a.origin)
	if err != nil {
		return err
	}
	if kept != a.origin {
		return thor.Errorf(thor.ECONFLICT, "the data directory %s holds data of %s, not of %s", a.data, kept, a.origin).
			WithHint("Choose another directory with --data.")
	}
	ids, err := a.store.Streams(ctx)
	if err != nil {
		return err
	}
	now, tolerated := a.clock.Now(), otherTime
	if a.clock.Virtual() {
		tolerated = 0
	}
	for _, id := range ids {
		if id == thor.CutoverStream {
			continue
		}
		_, events, err := a.store.Latest(ctx, id, thor.Window{Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range events {
			var said struct {
				Timestamp time.Time `json:"timestamp"`
			}
			if err := json.Unmarshal(e.Data, &said); err == nil && said.Timestamp.After(now.Add(tolerated)) {
				return thor.Errorf(thor.ECONFLICT, "the data directory %s holds data of %s, and the source's clock shows %s",
					a.data, said.Timestamp.Format(instant), now.Format(instant)).
					WithHint("Choose another directory with --data, or a later start.")
			}
		}
	}
	return nil
}
