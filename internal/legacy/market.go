package legacy

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
	_ "time/tzdata" // machines without zone files

	"thor"
)

// market is one line of the backend's table.
type market struct {
	key, mic                      string
	country, name, zone           string
	open, close, currency, weight string
}

// markets are the control markets, from east to west.
var markets = []market{
	{"tokyo", "XTKS", "Japan", "Tokyo", "Asia/Tokyo", "09:00:00", "15:00:00", "JPY", "0.25"},
	{"shanghai", "XSHG", "China", "Shanghai", "Asia/Shanghai", "09:30:00", "15:00:00", "CNY", "0.10"},
	{"bombay", "XBOM", "India", "Bombay", "Asia/Kolkata", "09:15:00", "15:30:00", "INR", "0.05"},
	{"frankfurt", "XETR", "Germany", "Frankfurt", "Europe/Berlin", "09:00:00", "17:30:00", "EUR", "0.20"},
	{"london", "XLON", "United Kingdom", "London", "Europe/London", "08:00:00", "16:30:00", "GBP", "0.05"},
	{"pre_usa", "XNYS.PRE", "Pre_USA", "Pre-USA", "America/New_York", "08:30:00", "09:30:00", "USD", "0.05"},
	{"usa", "XNYS", "USA", "USA", "America/New_York", "09:30:00", "16:00:00", "USD", "0.25"},
	{"toronto", "XTSE", "Canada", "Toronto", "America/Toronto", "09:30:00", "16:00:00", "CAD", "0.03"},
	{"mexican", "XMEX", "Mexico", "Mexican", "America/Mexico_City", "08:30:00", "15:00:00", "MXN", "0.02"},
	{"futures", "CMES", "Futures", "CME Futures (GLOBEX)", "America/Chicago", "17:00:00", "17:00:00", "USD", "0.00"},
}

// hours is what the backend makes of a market at an instant.
type hours struct {
	market
	now         time.Time // local
	open        bool
	next        time.Time // when it changes
	opens, ends time.Time // when it does so next
}

// hours looks at the clock on the wall of the market and the day of the week,
// as the original does.
func (m market) hours(now time.Time) (hours, error) {
	zone, err := time.LoadLocation(m.zone)
	if err != nil {
		return hours{}, err
	}
	h := hours{market: m, now: now.In(zone)}
	year, month, day := h.now.Date()
	for ahead := range 8 { // days
		date := time.Date(year, month, day+ahead, 0, 0, 0, 0, zone)
		if date.Weekday() == time.Saturday || date.Weekday() == time.Sunday {
			continue
		}
		at := func(clock string) time.Time {
			t, _ := time.Parse(time.TimeOnly, clock) // the table is ours
			return time.Date(year, month, day+ahead, t.Hour(), t.Minute(), 0, 0, zone)
		}
		open, end := at(m.open), at(m.close)
		h.open = h.open || !now.Before(open) && now.Before(end)
		if h.opens.IsZero() && now.Before(open) {
			h.opens = open
		}
		if h.ends.IsZero() && now.Before(end) {
			h.ends = end
		}
	}
	h.next = h.opens
	if h.open || h.ends.Before(h.opens) {
		h.next = h.ends
	}
	return h, nil
}

// allHours are the markets as the backend sees them; without its fault, those
// the calendar knows as they are.
func (b *Backend) allHours(ctx context.Context) ([]hours, error) {
	now := b.now()
	known := map[string]thor.MarketStatus{}
	if !b.Bugs[BugHours] && b.Markets != nil {
		statuses, err := b.Markets.Markets(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range statuses {
			known[s.MarketID] = s
		}
	}
	all := make([]hours, len(markets))
	for i, m := range markets {
		h, err := m.hours(now)
		if err != nil {
			return nil, err
		}
		if s, ok := known[m.mic]; ok && s.Status != thor.MarketUnknown {
			h.open = s.Trading
			if !s.NextEventAt.IsZero() {
				h.next = s.NextEventAt.In(h.now.Location())
			}
		}
		all[i] = h
	}
	return all, nil
}

func (h hours) status() string {
	if h.open {
		return "OPEN"
	}
	return "CLOSED"
}

// state is the finer word of the era that had one.
func (h hours) state() string {
	switch until := h.next.Sub(h.now); {
	case h.open && until <= 15*time.Minute:
		return "PRECLOSE"
	case !h.open && until <= time.Hour:
		return "PREOPEN"
	}
	return h.status()
}

// row is a market of the later eras.
func (h hours) row(id int) any {
	return struct {
		ID       int     `json:"id"`
		Key      string  `json:"key"`
		Name     string  `json:"name"`
		Display  string  `json:"display_name"`
		Country  string  `json:"country"`
		Zone     string  `json:"timezone_name"`
		Open     string  `json:"market_open_time"`
		Close    string  `json:"market_close_time"`
		Active   bool    `json:"is_active"`
		Sort     int     `json:"sort_order"`
		Status   string  `json:"status"`
		Changed  *string `json:"status_changed_at"`
		NextTime string  `json:"next_transition_utc"`
	}{id, h.key, h.name, h.name, h.country, h.zone, h.market.open, h.close, true, id, h.status(), nil, iso(h.next.UTC(), true)}
}

// localTime is the clock on the market's wall, in all the ways the first era
// had for it.
type localTime struct {
	Datetime  string `json:"datetime"`
	Year      int    `json:"year"`
	Month     int    `json:"month"`
	Date      int    `json:"date"`
	Day       string `json:"day"`
	DayNumber int    `json:"day_number"`
	Time      string `json:"time"`
	Format12  string `json:"formatted_12h"`
	Format24  string `json:"formatted_24h"`
	Timestamp float  `json:"timestamp"`
	Offset    string `json:"utc_offset"`
	DST       bool   `json:"dst_active"`
}

func (h hours) local() localTime {
	t := h.now
	return localTime{
		iso(t, true), t.Year(), int(t.Month()), t.Day(), t.Format("Mon"), (int(t.Weekday()) + 6) % 7, t.Format(time.TimeOnly),
		t.Format("03:04:05 PM"), t.Format(time.TimeOnly),
		float{thor.NewDecimal(t.UnixMicro(), 6)},
		t.Format("-0700"), t.IsDST(),
	}
}

// nested is a market of the first era.
func (h hours) nested(id int) any {
	type status struct {
		Country     string    `json:"country"`
		Zone        string    `json:"timezone"`
		CurrentTime localTime `json:"current_time"`
		Open        string    `json:"market_open"`
		Close       string    `json:"market_close"`
		InHours     bool      `json:"is_in_trading_hours"`
		Status      string    `json:"status"`
		Collect     bool      `json:"should_collect_data"`
		State       string    `json:"current_state"`
		NextOpen    string    `json:"next_open_at"`
		NextClose   string    `json:"next_close_at"`
		NextEvent   string    `json:"next_event"`
		Seconds     int       `json:"seconds_to_next_event"`
		Holiday     bool      `json:"is_holiday_today"`
	}
	event := "open"
	if h.open {
		event = "close"
	}
	return struct {
		ID       int       `json:"id"`
		Country  string    `json:"country"`
		Display  string    `json:"display_name"`
		Zone     string    `json:"timezone_name"`
		Open     string    `json:"market_open_time"`
		Close    string    `json:"market_close_time"`
		Status   string    `json:"status"`
		Active   bool      `json:"is_active"`
		Currency string    `json:"currency"`
		Weight   string    `json:"weight"`
		Control  bool      `json:"is_control_market"`
		Time     localTime `json:"current_time"`
		State    status    `json:"market_status"`
		Sort     int       `json:"sort_order"`
		Created  string    `json:"created_at"`
		Updated  string    `json:"updated_at"`
	}{
		id, h.country, h.name, h.zone, h.market.open, h.close, h.status(), true, h.currency, h.weight, true, h.local(),
		status{
			h.country, h.zone, h.local(), h.market.open[:5], h.close[:5], h.open, h.status(), h.open, h.state(),
			iso(h.opens, true), iso(h.ends, true), event, int(h.next.Sub(h.now) / time.Second), false,
		},
		id, "2025-12-03T00:00:00Z", iso(h.now.UTC().Truncate(time.Minute), true),
	}
}

// allMarkets are the markets as a bare array.
func (b *Backend) allMarkets(r *http.Request) answer {
	list, err := b.allHours(r.Context())
	if err != nil {
		return detail(http.StatusInternalServerError, "A server error occurred.")
	}
	rows := make([]any, len(list))
	for i, h := range list {
		rows[i] = h.row(i + 1)
	}
	return ok(rows)
}

// pagedMarkets are the markets a page at a time.
func (b *Backend) pagedMarkets(r *http.Request) answer {
	list, err := b.allHours(r.Context())
	if err != nil {
		return detail(http.StatusInternalServerError, "A server error occurred.")
	}
	pages := (len(list) + b.PageSize - 1) / b.PageSize
	page := 1
	if asked := r.URL.Query().Get("page"); asked != "" {
		if page, err = strconv.Atoi(asked); err != nil || page < 1 || page > pages {
			return detail(http.StatusNotFound, "Invalid page.")
		}
	}
	link := func(n int) *string {
		if n < 1 || n > pages {
			return nil
		}
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		url := scheme + "://" + r.Host + r.URL.Path
		if n > 1 {
			url = fmt.Sprintf("%s?page=%d", url, n)
		}
		return &url
	}
	results := []any{}
	for i := (page - 1) * b.PageSize; i < min(page*b.PageSize, len(list)); i++ {
		results = append(results, list[i].nested(i+1))
	}
	return ok(struct {
		Count    int     `json:"count"`
		Next     *string `json:"next"`
		Previous *string `json:"previous"`
		Results  []any   `json:"results"`
	}{len(list), link(page + 1), link(page - 1), results})
}
