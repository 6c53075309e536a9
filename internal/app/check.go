package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source"
	"thor/internal/source/upstream"
)

// CheckUpstream asks every endpoint of the backend once.
func CheckUpstream(ctx context.Context, c Config) (upstream.Report, error) {
	if err := c.needsUpstream(); err != nil {
		return upstream.Report{}, err
	}
	s, err := openUpstream(c)
	if err != nil {
		return upstream.Report{}, err
	}
	return s.Check(ctx), s.Close()
}

// SourceReport is what a source is and can do.
type SourceReport struct {
	Source    string         `json:"source"`
	Reachable bool           `json:"reachable"`
	Who       string         `json:"who,omitempty"` // as the source calls us
	Simulated bool           `json:"simulated"`
	Unproven  bool           `json:"unproven"` // it was never run against the real service
	SkewMS    *int64         `json:"clock_ahead_ms,omitempty"`
	Can       []string       `json:"can"`
	Cannot    []string       `json:"cannot"`
	Samples   []SourceSample `json:"samples"`
	Problem   string         `json:"problem,omitempty"`
}

// SourceSample is one message of a feature, or why there is none.
type SourceSample struct {
	Feature string          `json:"feature"`
	Data    json.RawMessage `json:"data,omitempty"`
	Count   int             `json:"count"`
	Note    string          `json:"note,omitempty"`
	Problem string          `json:"problem,omitempty"`
}

// remote is a source that asks somebody else.
type remote interface {
	source.Source
	Who(ctx context.Context) (string, error)
	Skew() (time.Duration, bool)
	// Has reports whether it delivers a feature.
	Has(feature string) bool
	Limits() []string
}

var _ remote = (*upstream.Source)(nil)

// CheckSource asks a source for everything once; "" is the source of the
// settings.
func CheckSource(ctx context.Context, c Config, name string) (SourceReport, error) {
	name = cmp.Or(name, c.Source)
	r := SourceReport{Source: name, Can: []string{}, Cannot: []string{}}
	known, err := calendar.New()
	if err != nil {
		return r, err
	}
	s, err := openNamed(c, name, known)
	if err != nil {
		return r, err
	}
	r.Reachable = true
	there, isRemote := s.(remote)
	switch {
	case isRemote:
		if r.Who, err = there.Who(ctx); err != nil {
			r.Problem = err.Error()
		}
	case s.Caps().Simulated:
		r.Cannot = append(r.Cannot, "say anything real: its prices are made up, and nobody trades on them", "deliver bars from before 2025")
	default:
		r.Cannot = append(r.Cannot, "deliver anything else by itself: jobs outside publish it, by POST /api/publish; thor status shows who does")
	}
	r.sample(ctx, s, exchangeMarkets{known, s.Clock()})
	if isRemote {
		var ahead time.Duration
		if ahead, r.Reachable = there.Skew(); r.Reachable {
			ms := ahead.Milliseconds()
			r.SkewMS = &ms
		}
		r.Cannot = append(r.Cannot, there.Limits()...)
	}
	r.Simulated, r.Unproven = s.Caps().Simulated, s.Caps().Unproven // some tell with their first answer
	return r, s.Close()
}

func openNamed(c Config, name string, exchanges *calendar.Calendar) (source.Source, error) {
	switch name {
	case noneName:
		return source.None{}, nil
	case simName:
		return openSim(c, exchanges)
	case upstreamName:
		if err := c.needsUpstream(); err != nil {
			return nil, err
		}
		return openUpstream(c)
	}
	return nil, thor.Errorf(thor.EINVALID, "%q is not a source; there are sim, upstream and none", name)
}

func (c Config) needsUpstream() error {
	if c.Upstream == "" {
		return thor.Errorf(thor.EINVALID, "say which backend, for instance --upstream http://localhost:8001").
			WithHint("Without one at hand, start the double that comes with thor: thor sim backend")
	}
	return nil
}

// sample asks for one message of each feature.
func (r *SourceReport) sample(ctx context.Context, s source.Source, states source.MarketSource) {
	can := source.AbilitiesOf(s)
	if can.Accounts != nil {
		shared := &source.SharedAccounts{Source: can.Accounts, MaxAge: time.Minute}
		can.Balances, can.Positions = shared, shared
	}
	add := func(feature, note string, messages []thor.Message, err error) {
		sample := SourceSample{Feature: feature, Count: len(messages), Note: note}
		if err != nil {
			sample.Problem = err.Error()
		}
		if len(messages) > 0 {
			newest := messages[len(messages)-1]
			data, err := newest.Encode()
			if err != nil {
				sample.Problem = errors.Join(errors.New(sample.Problem), err).Error()
			}
			if id := newest.Stream.Owner(); newest.Stream.Private() {
				data = bytes.ReplaceAll(data, []byte(`"`+id+`"`), []byte(`"`+upstream.Mask(id)+`"`))
			}
			sample.Data = data
		}
		r.Samples = append(r.Samples, sample)
	}
	has := func(feature, words string, there bool) bool {
		if asked, ok := s.(remote); ok {
			there = there && asked.Has(feature)
		}
		if !there {
			return false
		}
		if can.Paced != nil && can.Paced.Every(feature) > time.Second {
			words += fmt.Sprintf(", asked every %v at most", can.Paced.Every(feature))
		}
		r.Can = append(r.Can, words)
		return true
	}
	if has("account_balance", "deliver balances", can.Balances != nil) {
		balances, err := can.Balances.Balances(ctx)
		add("account_balance", "", thor.AccountBalanceMessages(balances), err)
	}
	if has("positions", "deliver positions", can.Positions != nil) {
		positions, err := can.Positions.Positions(ctx)
		add("positions", "", thor.PositionsMessages(positions), err)
	}
	if has("intraday", "deliver bars of one minute", can.Bars != nil) {
		bars, err := can.Bars.Bars(ctx, time.Time{})
		note := ""
		if s.Name() == upstreamName && len(bars) == 0 && err == nil {
			note = "none yet: a bar counts when it was seen to change, within a minute or two of a market that trades"
		}
		add("intraday", note, thor.IntradayBarMessages(bars), err)
	}
	r.Can = append(r.Can, "tell the states of markets, which come from thor's calendar")
	open, err := states.Markets(ctx)
	add("global_market", "of thor's calendar", thor.MarketStatusMessages(open), err)
}

// Trouble is what does not work of a source, or nil.
func (r SourceReport) Trouble() error {
	problems := 0
	if r.Problem != "" {
		problems++
	}
	for _, s := range r.Samples {
		if s.Problem != "" {
			problems++
		}
	}
	if problems == 0 {
		return nil
	}
	return thor.Errorf(thor.EUNAVAILABLE, "%s does not work: %s", r.Source, counted(problems, "problem"))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
