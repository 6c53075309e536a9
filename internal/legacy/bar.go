package legacy

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// latestBars knows the newest finished bar of every symbol. It looks once a
// minute.
type latestBars struct {
	source source.BarSource

	mu     sync.Mutex // guards what follows
	minute time.Time
	bars   map[string]thor.Bar // by the backend's symbol
}

// maxStep is how far apart two looks may be for the second to be a small one.
const maxStep = 10 * time.Minute

// at returns the bars as they are in that minute.
func (l *latestBars) at(ctx context.Context, now time.Time) (map[string]thor.Bar, error) {
	minute := now.Truncate(time.Minute)
	l.mu.Lock()
	bars, asked := l.bars, l.minute
	l.mu.Unlock()
	if asked.Equal(minute) {
		return bars, nil
	}
	since := asked.Add(-time.Minute) // a look at what is new, unless the last look was long ago
	if step := minute.Sub(asked); step < 0 || step > maxStep {
		since = time.Time{}
	}
	found, err := l.source.Bars(ctx, since)
	if err != nil {
		return nil, err
	}
	newest := map[string]thor.Bar{}
	for symbol, bar := range bars { // a session that has just begun has no finished bar
		if bar.TimestampMinute.Before(minute) {
			newest[symbol] = bar
		}
	}
	for _, b := range found {
		symbol := symbolOf(b.Symbol, b.Display)
		if b.TimestampMinute.Before(minute) && !b.TimestampMinute.Before(newest[symbol].TimestampMinute) {
			newest[symbol] = b
		}
	}
	l.mu.Lock()
	l.minute, l.bars = minute, newest
	l.mu.Unlock()
	return newest, nil
}

// marketNames are the words for the markets that have bars.
var marketNames = map[string]string{
	"Tokyo": "Japan", "Osaka": "Japan", "Bombay": "India", "Mumbai": "India", "London": "United Kingdom", "England": "United Kingdom",
	"Shanghai": "China", "Hong Kong": "China", "New York": "USA",
	"Japan": "Japan", "India": "India", "United Kingdom": "United Kingdom", "China": "China", "USA": "USA", "Pre_USA": "Pre_USA",
}

// session is the newest bar of a symbol, without its time. A market names the
// bar and does not choose it.
func (b *Backend) session(r *http.Request) answer {
	type bar struct {
		Open   float  `json:"open"`
		High   float  `json:"high"`
		Low    float  `json:"low"`
		Close  float  `json:"close"`
		Volume int64  `json:"volume"`
		Spread *float `json:"spread"`
	}
	type latest struct {
		Detail string  `json:"detail,omitempty"`
		Market *string `json:"market"`
		Future *string `json:"future"`
		Latest *bar    `json:"intraday_latest"`
	}
	market, future := optional(r, "market"), optional(r, "future")
	if market == nil || future == nil {
		return answer{http.StatusBadRequest, latest{Detail: "market and future are required", Market: market, Future: future}}
	}
	if name, ok := marketNames[*market]; ok {
		market = &name
	}
	answered := latest{Market: market, Future: future}
	bars, err := b.bars.at(r.Context(), b.now())
	if err != nil {
		return detail(http.StatusInternalServerError, "A server error occurred.")
	}
	if found, ok := bars[strings.TrimPrefix(*future, "/")]; ok {
		answered.Latest = &bar{
			Open: float{found.Open}, High: float{found.High}, Low: float{found.Low}, Close: float{found.Close}, Volume: whole(found.Volume),
		}
	}
	return ok(answered)
}

// whole is a volume without what is behind the point: the column is an integer.
func whole(d thor.Decimal) int64 {
	text, _, _ := strings.Cut(d.String(), ".")
	n, _ := strconv.ParseInt(text, 10, 64) // unknown is 0
	return n
}

// optional is a parameter of the query, or nil.
func optional(r *http.Request, name string) *string {
	if value := r.URL.Query().Get(name); value != "" {
		return &value
	}
	return nil
}

// barHealth says how old the newest bar of the markets is, which is that of the
// futures.
func (b *Backend) barHealth(r *http.Request) answer {
	type market struct {
		Market    string  `json:"market"`
		Last      *string `json:"last_bar_utc"`
		Lag       *float  `json:"lag_minutes"`
		Threshold int     `json:"threshold_minutes"`
		Status    string  `json:"status"`
	}
	now := b.now()
	bars, err := b.bars.at(r.Context(), now)
	if err != nil {
		return detail(http.StatusInternalServerError, "A server error occurred.")
	}
	var last time.Time
	for _, bar := range bars {
		if thor.AssetClassOf(bar.Symbol) == thor.AssetFuture && bar.TimestampMinute.After(last) {
			last = bar.TimestampMinute
		}
	}
	names := []string{"Japan", "China", "India", "United Kingdom", "Pre_USA", "USA"}
	if asked := r.URL.Query().Get("markets"); asked != "" {
		names = strings.Split(asked, ",")
	}
	threshold := 3
	if n, err := strconv.Atoi(r.URL.Query().Get("threshold_minutes")); err == nil && n > 0 {
		threshold = n
	}
	all := make([]market, len(names))
	for i, name := range names {
		all[i] = market{Market: name, Threshold: threshold, Status: "red"}
		if last.IsZero() {
			continue
		}
		at := iso(last, true)
		lag := float{thor.NewDecimal(int64(now.Sub(last)/(time.Minute/100)), 2)}
		all[i].Last, all[i].Lag = &at, &lag
		if now.Sub(last) <= time.Duration(threshold)*time.Minute {
			all[i].Status = "green"
		}
	}
	return ok(struct {
		AsOf      string   `json:"as_of"`
		Threshold int      `json:"threshold_minutes"`
		Markets   []market `json:"markets"`
	}{iso(now, true), threshold, all})
}
