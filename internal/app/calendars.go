package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"thor"
	"thor/internal/api"
	"thor/internal/calendar"
	"thor/internal/source"
)

// lookEvery is how often the folder of calendars is looked at, and the markets
// with it: what is written there is told within a few seconds.
const lookEvery = time.Second

// endsSoon is how long before the end of a calendar it is said.
const endsSoon = 60 * 24 * time.Hour

// openCalendars reads the calendars.
func (a *App) openCalendars() (err error) {
	if a.folder, err = calendar.OpenFolder(a.config.Calendars, time.Now()); err != nil {
		return err
	}
	if a.folder.Dir() != "" {
		a.logCalendars(a.folder.State())
	}
	return nil
}

// days is the calendar in force.
func (a *App) days() *calendar.Calendar { return a.folder.State().Calendar }

// lookAtCalendars reads the folder again, and says once what has changed: what
// is in force, what is wrong, and which calendars end soon.
func (a *App) lookAtCalendars(context.Context) error {
	if a.folder.Look(time.Now()) {
		a.logCalendars(a.folder.State())
	}
	var ending []string
	for _, e := range a.ending() {
		ending = append(ending, fmt.Sprintf("%s %s", e.Exchange, e.At.UTC().Format(time.RFC3339)))
	}
	if !slices.Equal(ending, a.saidEnding) && len(ending) > 0 {
		a.logger.Warn("calendars end soon; then their markets are UNKNOWN", slog.String("ends", strings.Join(ending, ", ")))
	}
	a.saidEnding = ending
	return nil
}

func (a *App) logCalendars(s *calendar.State) {
	folder := slog.String("folder", a.folder.Dir())
	if s.Trouble != nil {
		a.logger.Error("the calendars cannot be used; those that were in force stay", folder, slog.String("error", s.Trouble.Error()))
		return
	}
	a.logger.Info("calendars in force", folder, slog.Any("files", s.Files))
}

// ending are the exchanges of which the calendar knows nothing soon, by the
// source's clock.
func (a *App) ending() []calendar.Ending { return a.days().Endings(a.clock.Now().Add(endsSoon)) }

func (a *App) calendarStatus() api.CalendarStatus {
	state := a.folder.State()
	s := api.CalendarStatus{Folder: a.folder.Dir(), Files: state.Files, Since: state.Since.UTC(), Ending: []api.EndingStatus{}}
	if s.Files == nil {
		s.Files = []string{}
	}
	if state.Trouble != nil {
		s.Trouble = state.Trouble.Error()
	}
	for _, e := range a.ending() {
		s.Ending = append(s.Ending, api.EndingStatus{Exchange: e.Exchange, At: e.At})
	}
	return s
}

// markets is the calendar in force at the source's time. It must not be asked
// twice at a time.
type markets struct {
	days  func() *calendar.Calendar
	clock source.Clock
	// told are the markets that clients know of, now or from earlier. One that
	// is in no calendar any more is UNKNOWN: its last state would stay for ever.
	told map[string]thor.MarketStatus
}

var _ source.MarketSource = (*markets)(nil)

// Markets implements [source.MarketSource].
func (m *markets) Markets(ctx context.Context) ([]thor.MarketStatus, error) {
	now := m.clock.Now().UTC().Truncate(time.Millisecond)
	statuses := m.days().Statuses(now)
	known := make(map[string]bool, len(statuses))
	for _, s := range statuses {
		known[s.MarketID], m.told[s.MarketID] = true, s
	}
	for _, id := range slices.Sorted(maps.Keys(m.told)) {
		if s := m.told[id]; !known[id] {
			statuses = append(statuses, thor.MarketStatus{
				MarketID: id, Market: s.Market, Country: s.Country, Timezone: s.Timezone, Weight: s.Weight,
				Status: thor.MarketUnknown, Timestamp: now,
			})
		}
	}
	return statuses, ctx.Err()
}

// toldMarkets are the markets in the store.
func (a *App) toldMarkets(ctx context.Context) (map[string]thor.MarketStatus, error) {
	id := thor.NewStreamID("global_market", "")
	streams, err := a.store.Streams(ctx)
	if err != nil {
		return nil, err
	}
	told := map[string]thor.MarketStatus{}
	if !slices.Contains(streams, id) {
		return told, nil
	}
	_, events, err := a.store.Latest(ctx, id, thor.Window{})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		var s thor.MarketStatus
		if err := json.Unmarshal(e.Data, &s); err != nil {
			return nil, fmt.Errorf("the market %s of the store: %w", e.Key, err)
		}
		told[s.MarketID] = s
	}
	return told, nil
}
