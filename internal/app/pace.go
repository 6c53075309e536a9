package app

import (
	"context"
	"sync"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source"
)

// settle is how long, in wall time, the server is quicker than it says when it
// changes a cadence: so long a client may take to learn that a stream slows down,
// and so long a stream speaks faster before that is told.
const settle = 3 * time.Second

// pace knows how often the streams speak: in the cadence of their feature while
// something they are about trades, and in its idle cadence otherwise.
//
// What is told is never faster than what is done, so that no client takes a
// stream that has slowed down for a dead one: slowing down is told first and
// done [settle] later, speeding up is done first and told settle later. Cadences
// change at heartbeats, when [pace.announce] is called.
type pace struct {
	days  func() *calendar.Calendar // those in force
	clock source.Clock
	wall  func(time.Duration) time.Duration
	// rhythms are how often the features speak whose jobs outside said so, in wall
	// time; 0 is as often as usual.
	rhythms map[string]time.Duration
	// atMost is how often the source asks for a feature at most: what it has not
	// read again it cannot say again. 0, and nil, is whenever it is asked.
	atMost func(feature string) time.Duration

	mu      sync.Mutex                // guards what follows
	held    map[string][]string       // what each account holds, as far as it is known
	streams map[thor.StreamID]*rhythm // of features with an idle cadence
}

// rhythm is the state of one stream.
type rhythm struct {
	trades bool
	since  time.Time // when that was noticed
	idle   bool      // what clients were told
	told   time.Time // when
}

// quick reports whether the stream speaks in the cadence of its feature.
func (r *rhythm) quick(now time.Time) bool {
	return r.trades || !r.idle || now.Sub(r.told) < settle
}

// done is how often a stream speaks when nothing changes, in wall time.
func (p *pace) done(id thor.StreamID) time.Duration {
	f, err := thor.FeatureNamed(id.Feature())
	if err != nil {
		return 0 // the cutover stream speaks on change only
	}
	if every := p.rhythms[f.Name]; every > 0 {
		return every
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); f.Idle > 0 && !p.look(id, now).quick(now) {
		return p.paced(f, f.Idle)
	}
	return p.paced(f, f.Cadence)
}

// told is how often clients are told that a stream speaks, in wall time.
func (p *pace) told(id thor.StreamID) time.Duration {
	f, err := thor.FeatureNamed(id.Feature())
	if err != nil {
		return 0
	}
	if every := p.rhythms[f.Name]; every > 0 {
		return every
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Idle > 0 && p.look(id, time.Now()).idle {
		return p.paced(f, f.Idle)
	}
	return p.paced(f, f.Cadence)
}

// paced is a cadence of a feature in wall time, no faster than its source.
func (p *pace) paced(f thor.Feature, cadence time.Duration) time.Duration {
	every := p.wall(cadence)
	if p.atMost == nil || cadence == 0 {
		return every
	}
	return max(every, p.atMost(f.Name))
}

// announce decides what is told from now on, and returns what is new.
func (p *pace) announce() map[thor.StreamID]time.Duration {
	changed := map[thor.StreamID]time.Duration{}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.streams {
		f, err := thor.FeatureNamed(id.Feature())
		if err != nil || p.rhythms[f.Name] > 0 {
			continue
		}
		quick, idle := p.paced(f, f.Cadence), p.paced(f, f.Idle)
		r := p.look(id, now)
		switch {
		case quick == idle: // a fast clock or a slow source, where neither can be any shorter
		case r.trades && r.idle && now.Sub(r.since) >= settle:
			r.idle, r.told, changed[id] = false, now, quick
		case !r.trades && !r.idle:
			r.idle, r.told, changed[id] = true, now, idle
		}
	}
	return changed
}

// interval is how often the job of a feature runs, which reads all its streams
// at once: as often as the quickest of them speaks.
func (p *pace) interval(f thor.Feature, every time.Duration) time.Duration {
	if f.Idle <= every || p.anyQuick(f.Name) {
		return p.wall(every)
	}
	return p.wall(f.Idle)
}

// cadence is how often a feature speaks as its description has it.
func (p *pace) cadence(f thor.Feature) time.Duration {
	if every := p.rhythms[f.Name]; every > 0 {
		return every
	}
	if p.atMost == nil || f.Cadence == 0 {
		return f.Cadence
	}
	return max(f.Cadence, p.atMost(f.Name))
}

// opening is when the first stream of a feature trades again, in the source's
// time; the zero time while one of them does.
func (p *pace) opening(feature string) time.Time {
	at := p.clock.Now()
	var first time.Time
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.streams {
		if id.Feature() != feature {
			continue
		}
		trades, opens := p.trades(id, at)
		if trades {
			return time.Time{}
		}
		if first.IsZero() || opens.Before(first) {
			first = opens
		}
	}
	return first
}

func (p *pace) anyQuick(feature string) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	known := false
	for id := range p.streams {
		if id.Feature() != feature {
			continue
		}
		if known = true; p.look(id, now).quick(now) {
			return true
		}
	}
	return !known
}

// look brings the state of a stream up to date. The caller holds mu.
func (p *pace) look(id thor.StreamID, now time.Time) *rhythm {
	trades, _ := p.trades(id, p.clock.Now())
	r := p.streams[id]
	if r == nil {
		// Nobody was told anything else; and a beginner is quick for a moment.
		r = &rhythm{trades: trades, since: now, idle: !trades, told: now}
		if p.streams == nil {
			p.streams = map[thor.StreamID]*rhythm{}
		}
		p.streams[id] = r
	}
	if r.trades != trades {
		r.trades, r.since = trades, now
	}
	return r
}

// trades reports whether something a stream is about trades at an instant of
// the source's time, and if not when it does again. The caller holds mu.
func (p *pace) trades(id thor.StreamID, at time.Time) (trades bool, opens time.Time) {
	symbols := []string{id.Owner()}
	if id.Private() {
		// An account that holds nothing, or nobody knows what, may do anything.
		if symbols = p.held[id.Owner()]; len(symbols) == 0 {
			return true, time.Time{}
		}
	}
	for _, symbol := range symbols {
		next, closed := p.closed(symbol, at)
		if !closed {
			return true, time.Time{}
		}
		if opens.IsZero() || next.Before(opens) {
			opens = next
		}
	}
	return false, opens
}

// closed reports whether the exchange of a symbol is closed, and until when.
// What trades at any hour never is, nor is what the calendar does not know.
func (p *pace) closed(symbol string, at time.Time) (until time.Time, closed bool) {
	mic := exchangeOf(symbol)
	session, ok := p.days().SessionAt(mic, at)
	if !ok || session.Contains(at) {
		return time.Time{}, false
	}
	next, ok := p.days().NextSession(mic, at)
	return next.Open, ok
}

// hold notes what an account holds.
func (p *pace) hold(account string, rows []thor.Position) {
	symbols := make([]string, len(rows))
	for i, row := range rows {
		symbols[i] = row.Symbol
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[string][]string{}
	}
	p.held[account] = symbols
}

// heldAccounts notes on the way what each account holds.
type heldAccounts struct {
	source.AccountSource
	pace *pace
}

// Accounts implements [source.AccountSource].
func (h *heldAccounts) Accounts(ctx context.Context) ([]source.Account, error) {
	accounts, err := h.AccountSource.Accounts(ctx)
	for _, a := range accounts {
		h.pace.hold(a.Balance.AccountID, a.Positions.Positions)
	}
	return accounts, err
}

// heldPositions does the same where positions are asked for by themselves.
type heldPositions struct {
	source.PositionsSource
	pace *pace
}

// Positions implements [source.PositionsSource].
func (h *heldPositions) Positions(ctx context.Context) ([]thor.Positions, error) {
	positions, err := h.PositionsSource.Positions(ctx)
	for _, p := range positions {
		h.pace.hold(p.AccountID, p.Positions)
	}
	return positions, err
}
