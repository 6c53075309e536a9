package app

import (
	"bytes"
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
	Limits() []string
}

var _ remote = (*upstream.Source)(nil)

// CheckSource asks a source for everything once.
func CheckSource(ctx context.Context, c Config, name string) (SourceReport, error) {
	r := SourceReport{Source: name, Cannot: []string{}}
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
	if !isRemote {
		r.Cannot = append(r.Cannot, "anything real: its prices are made up, and nobody trades on them", "bars from before 2025")
	} else if r.Who, err = there.Who(ctx); err != nil {
		r.Problem = err.Error()
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
	case simName:
		return openSim(c, exchanges)
	case upstreamName:
		if err := c.needsUpstream(); err != nil {
			return nil, err
		}
		return openUpstream(c)
	}
	return nil, thor.Errorf(thor.EINVALID, "%q is not a source; there are sim and upstream", name)
}

func (c Config) needsUpstream() error {
	if c.Upstream == "" {
		return thor.Errorf(thor.EINVALID, "say which backend, for instance --upstream http://localhost:8001")
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
	balances, err := can.Balances.Balances(ctx)
	add("account_balance", "", thor.AccountBalanceMessages(balances), err)
	positions, err := can.Positions.Positions(ctx)
	add("positions", "", thor.PositionsMessages(positions), err)
	bars, err := can.Bars.Bars(ctx, time.Time{})
	note := ""
	if s.Name() == upstreamName && len(bars) == 0 {
		note = "none yet: a bar counts when it was seen to change, within a minute or two of a market that trades"
	}
	add("intraday", note, thor.IntradayBarMessages(bars), err)
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
