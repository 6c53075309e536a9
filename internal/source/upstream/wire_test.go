package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thor"
	"thor/internal/source"
)

// small is a mapping of balances and positions alone, of one account.
const small = `
[accounts]
ids = ["A"]
[balance]
path = "/balance/{account}"
every = "1ns"
timeout = "60s"
fields.account_id = { from = "/id" }
fields.currency = { const = "USD" }
fields.portfolio_value = { from = "/net", type = "dec" }
fields.cash = { from = "/cash", type = "dec" }
fields.timestamp = { from = "/at", type = "time", format = "rfc3339" }
[positions]
path = "/positions"
root = "/results"
next = "/next"
key = "/symbol"
every = "1ns"
timeout = "60s"
fields.symbol = { from = "/symbol", required = true }
fields.asset_class = { const = "equity" }
fields.quantity = { from = "/quantity", type = "dec", required = true }
fields.current_price = { from = "/price", type = "dec" }
fields.entry_price = { from = "/entry", type = "dec" }
fields.currency = { const = "USD" }
`

func parsed(t *testing.T, text string) *Mapping {
	t.Helper()
	m, err := Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// serve starts a backend of the test's own and a source that reads it.
func serve(t *testing.T, handler http.HandlerFunc, change func(*Config)) (*Source, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL, Mapping: parsed(t, small)}
	if change != nil {
		change(&c)
	}
	return connect(t, c), server
}

// say answers with a status and a body.
func say(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// raw answers with bytes and hangs up.
func raw(t *testing.T, text string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

const good = `{"id":"A","net":"105000.25","cash":1.10,"at":"2026-11-23T15:30:00Z"}`

// TestWhatCanGoWrong holds what a failure on the wire is called, and what a
// person is told.
func TestWhatCanGoWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		kind   source.Kind
		words  string
	}{
		{"a backend that fails", say(503, `{"detail":"the database is away"}`), source.Transient, "GET /balance/{account}: the backend failed with 503: the database is away"},
		{"a gateway that fails with a page", say(502, `<html><title>502 Bad Gateway</title>`), source.Transient, `failed with 502: a web page with the title "502 Bad Gateway"`},
		{"too often", say(429, `{"detail":"Request was throttled."}`), source.RateLimited, "429: Request was throttled."},
		{"nobody to sign in", say(401, `{"detail":"Authentication credentials were not provided."}`), source.AuthRequired, "not provided.. Set THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD, or THOR_UPSTREAM_TOKEN"},
		{"forbidden", say(403, `{"detail":"wait for approval","code":"not_approved"}`), source.Forbidden, "403: wait for approval (not_approved). Ask whoever runs"},
		{"not there", say(404, `{"detail":"Account not found"}`), source.NotSupported, "404: Account not found. Compare the path"},
		{"not there, says a page", say(404, "<!doctype html><title>Not Found</title>", "Content-Type", "text/html"), source.NotSupported, `404: a web page with the title "Not Found"`},
		{"a wrong question", say(400, `{"detail":"account_id is not a number"}`), source.NotSupported, "400: account_id is not a number"},
		{"no content", say(204, ""), source.BadData, "204"},
		{"a page instead of JSON", say(200, "<html><title>Log in</title>", "Content-Type", "text/html"), source.BadData, `a web page with the title "Log in". Is this the backend itself`},
		{"a page that says it is JSON", say(200, " <!doctype html>"), source.BadData, "a web page"},
		{"text instead of JSON", say(200, "OK"), source.BadData, "not JSON: invalid character 'O'"},
		{"NaN", say(200, `{"net":NaN}`), source.BadData, "NaN and Infinity, which Python writes, are not JSON"},
		{"more than JSON", say(200, good+"{}"), source.BadData, "more behind the JSON"},
		{"half an answer", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"net\":"), source.Transient, "only a part of the answer came"},
		{"half an answer of unknown length", raw(t, "HTTP/1.0 200 OK\r\n\r\n{\"net\":"), source.Transient, "only a part of the answer came, 7 bytes"},
		{"half a chunked answer", raw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"net\":\r\n"), source.Transient, "only a part of the answer came"},
		{"nothing at all", raw(t, ""), source.Transient, "hung up without an answer"},
		{"a list instead of an object", say(200, `[]`), source.BadData, "it is a list, not an object"},
		{"null", say(200, `null`), source.BadData, "it is null, not an object"},
		{"no amount", say(200, `{"id":"A","net":null,"cash":""}`), source.BadData, "no amount is in it"},
		{"a field that was renamed", say(200, `{"id":"A","net_liq":"1.00"}`), source.BadData, "no amount is in it"},
		{"a field of another type", say(200, `{"id":"A","net":{"amount":"1.00"}}`), source.BadData, "portfolio_value: /net is an object, not a number. thor upstream check"},
		{"a number that is none", say(200, `{"id":"A","net":"1,000.00"}`), source.BadData, `/net is "1,000.00", not a number`},
		{"a flag for a number", say(200, `{"id":"A","net":true}`), source.BadData, "/net is true, not a number"},
		{"a time without an offset", say(200, `{"id":"A","net":1,"at":"2026-11-23T15:30:00"}`), source.BadData, "it has no offset; the format naive-utc takes it for UTC"},
		{"somebody else's account", say(200, `{"id":"B","net":1}`), source.BadData, "/id is another account than was asked for"},
		{"too long an answer", say(200, `"`+strings.Repeat("x", maxBody)), source.BadData, "longer than 4 MiB"},
		{"a hung server", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, source.Transient, "did not answer in time"},
		{"a server that hangs in the middle", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"net":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, source.Transient, "did not answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, tt.answer, func(c *Config) {
				if strings.HasSuffix(tt.words, "in time") {
					c.Mapping.Balance.Timeout = Duration(100 * time.Millisecond)
				}
			})
			balances, err := s.Balances(t.Context())
			if len(balances) != 0 {
				t.Errorf("it made a balance of that: %+v", balances)
			}
			e, ok := errors.AsType[*source.Error](err)
			if !ok || e.Kind != tt.kind || e.Op != "balance of ••••" || e.Source != "upstream" || !strings.Contains(e.Error(), tt.words) {
				t.Errorf("got %v, want %s with %q", err, tt.kind, tt.words)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s, server := serve(t, nil, nil)
	server.Close()
	_, err := s.Balances(t.Context())
	if source.KindOf(err) != source.Transient || !strings.Contains(err.Error(), "nobody listens at 127.0.0.1:") || !strings.Contains(err.Error(), "Is the backend running?") {
		t.Errorf("got %v", err)
	}
}

func TestDigitsAreKept(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`105000.25`: "105000.25", `"105000.25"`: "105000.25", `0.1`: "0.1", `9007199254740993.01`: "9007199254740993.01",
		`174.28999999`: "174.28999999", `1e3`: "1000", `-0.00`: "0.00", `"0"`: "0", `null`: "—", `""`: "—", `0.0`: "0.0",
	} {
		s, _ := serve(t, say(200, `{"net":1,"cash":`+text+`}`), nil)
		balances, err := s.Balances(t.Context())
		if err != nil || len(balances) != 1 || balances[0].Cash.String() != want {
			t.Errorf("%s: got %+v and %v, want %s", text, balances, err, want)
		}
	}
}

func TestABackendMayAskToBeLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header []string
		wait   time.Duration
	}{
		{"for seconds", []string{"Retry-After", "120"}, 2 * time.Minute},
		{"until a date", []string{"Retry-After", time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)}, 10 * time.Minute},
		{"until a second of 1970", []string{"X-RateLimit-Reset", fmt.Sprint(time.Now().Add(5 * time.Minute).Unix())}, 5 * time.Minute},
		{"for a year", []string{"Retry-After", "31536000"}, time.Hour},
		{"for longer than there are nanoseconds", []string{"Retry-After", "9000000000000000000"}, time.Hour},
		{"without a time", nil, pause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				say(429, `{}`, tt.header...)(w, r)
			}, nil)
			for range 2 { // the second time it is not even asked, nor is another path
				_, err := s.Balances(t.Context())
				wait, ok := errors.AsType[interface {
					error
					NotBefore() time.Time
				}](err)
				if !ok || source.KindOf(err) != source.RateLimited {
					t.Fatalf("got %v", err)
				}
				if in := time.Until(wait.NotBefore()); in > tt.wait+time.Second || in < tt.wait-2*time.Minute {
					t.Errorf("not before %v from now, want %v", in, tt.wait)
				}
				if _, err := s.Positions(t.Context()); source.KindOf(err) != source.RateLimited {
					t.Errorf("positions: %v", err)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

func TestACancelledRequestIsNoFault(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := s.Balances(ctx); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("got %v", err)
	}
}

func TestAnETagSavesTheBody(t *testing.T) {
	t.Parallel()
	var full, spared atomic.Int64
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			spared.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		say(200, good, "ETag", `"1"`)(w, r)
	}, nil)
	for range 3 {
		balances, err := s.Balances(t.Context())
		if err != nil || len(balances) != 1 || balances[0].PortfolioValue.String() != "105000.25" {
			t.Fatalf("got %+v, %v", balances, err)
		}
	}
	if full.Load() != 1 || spared.Load() != 2 {
		t.Errorf("%d bodies and %d times not modified", full.Load(), spared.Load())
	}
}

func TestA304NobodyAskedFor(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, say(304, ""), nil)
	if _, err := s.Balances(t.Context()); source.KindOf(err) != source.BadData {
		t.Errorf("got %v", err)
	}
}

func TestCompressedAnswersAreBoundedUnpacked(t *testing.T) {
	t.Parallel()
	pack := func(text []byte) http.HandlerFunc {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return say(200, packed.String(), "Content-Encoding", "gzip")
	}
	s, _ := serve(t, pack([]byte(good)), nil)
	if balances, err := s.Balances(t.Context()); err != nil || len(balances) != 1 {
		t.Errorf("got %+v, %v", balances, err)
	}
	bomb, _ := serve(t, pack(bytes.Repeat([]byte(" "), 8<<20)), nil)
	if _, err := bomb.Balances(t.Context()); source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), "longer than 4 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var stolen atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	t.Cleanup(elsewhere.Close)
	for _, tt := range []struct {
		name  string
		to    string // "" answers
		words string
	}{
		{"to a path with a slash", "/balance/A/", ""},
		{"to another host", elsewhere.URL + "/balance/A", "where the token must not go. If the backend has moved, --upstream is its new address"},
		{"in a circle", "/balance/A", "redirects more than 3 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/A/") {
					if r.Header.Get("Authorization") != "Bearer secret" {
						t.Error("the token did not come along")
					}
					say(200, good)(w, r)
					return
				}
				http.Redirect(w, r, tt.to, http.StatusMovedPermanently)
			}, func(c *Config) { c.Token = "secret" })
			balances, err := s.Balances(t.Context())
			if tt.words == "" {
				if err != nil || len(balances) != 1 {
					t.Errorf("got %v", err)
				}
				return
			}
			if source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
	if stolen.Load() {
		t.Error("the other host was asked")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	rows := func(symbol, next string) string {
		return fmt.Sprintf(`{"next":%s,"results":[{"symbol":%q,"quantity":"2.0000","price":"10.50","entry":"10.00"}]}`, next, symbol)
	}
	for _, tt := range []struct {
		name   string
		answer func(host string, page string) string
		want   int
		words  string
	}{
		{"three of them", func(host, page string) string {
			switch page {
			case "":
				return rows("A", `"http://`+host+`/positions?page=2"`)
			case "2":
				return rows("B", `"/positions?page=3"`)
			}
			return rows("C", "null")
		}, 3, ""},
		{"in a circle", func(string, string) string { return rows("A", `"/positions?page=2"`) }, 0, "its pages lead in a circle"},
		{"without an end", func(_, page string) string { return rows("A"+page, `"/positions?page=`+page+`1"`) }, 0, "more than 20 pages"},
		{"on another host", func(string, string) string { return rows("A", `"http://example.com/positions?page=2"`) }, 0, "is not on the backend"},
		{"with a row twice", func(string, string) string {
			return strings.Replace(rows("A", "null"), "]", `,{"symbol":"A","quantity":1}]`, 1)
		}, 0, "row A: EQ.A is there twice"},
		{"without a list", func(string, string) string { return `{"next":null}` }, 0, "/results is missing, not a list"},
		{"with null for a list", func(string, string) string { return `{"results":null}` }, 0, "/results is null, not a list"},
		{"with a row without a quantity", func(string, string) string { return `{"results":[{"symbol":"A"}]}` }, 0, "row A: quantity: /quantity is missing"},
		{"with no rows", func(string, string) string { return `{"results":[]}` }, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				say(200, tt.answer(r.Host, r.URL.Query().Get("page")))(w, r)
			}, nil)
			list, err := s.Positions(t.Context())
			if tt.words != "" {
				if len(list) != 0 || source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), tt.words) {
					t.Errorf("got %+v and %v, want %q", list, err, tt.words)
				}
				return
			}
			if err != nil || len(list) != 1 || len(list[0].Positions) != tt.want {
				t.Fatalf("got %+v and %v, want %d rows", list, err, tt.want)
			}
			for _, p := range list[0].Positions {
				if p.MarketValue.String() != "21.00" || p.PnL.String() != "1.00" || p.PnLPercent.String() != "5.0000" || p.DayPnL.Known() {
					t.Errorf("what follows from the row: %+v", p)
				}
			}
		})
	}
}

// TestOneAccountDoesNotHideAnother holds that what could be read comes, with the
// error of what could not, and that a later answer does not mix them.
func TestOneAccountDoesNotHideAnother(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/B") {
			say(500, `{}`)(w, r)
			return
		}
		say(200, good)(w, r)
	}, func(c *Config) { c.Mapping.Accounts.IDs = []string{"B", "A"} })
	balances, err := s.Balances(t.Context())
	if source.KindOf(err) != source.Transient || len(balances) != 1 || balances[0].AccountID != "A" {
		t.Errorf("got %+v, %v", balances, err)
	}
}

// TestOneTroubleIsToldOnce holds that a backend that is away does not fill a
// screen, and that different troubles are all told.
func TestOneTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := 500
		if strings.HasSuffix(r.URL.Path, "/C") {
			status = 403
		}
		say(status, `{}`)(w, r)
	}, func(c *Config) { c.Mapping.Accounts.IDs = []string{"A", "B", "C", "D"} })
	_, err := s.Balances(t.Context())
	if want := "upstream: balance of •••• and 2 more: transient (status 500): GET /balance/{account}: the backend failed with 500\n" +
		"upstream: balance of ••••: forbidden (status 403): GET /balance/{account}: it is forbidden, 403. Ask whoever runs the backend whether this user may read it."; err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAQuestionIsNotAskedTooOften(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		say(200, good)(w, r)
	}, func(c *Config) { c.Mapping.Balance.Every = Duration(time.Hour) })
	for range 3 {
		if balances, err := s.Balances(t.Context()); err != nil || len(balances) != 1 {
			t.Fatalf("got %+v, %v", balances, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times within its interval", n)
	}
}

// TestWhatIsNotMappedIsNotAskedFor reads a mapping that has bars alone, and one
// without them.
func TestWhatIsNotMappedIsNotAskedFor(t *testing.T) {
	t.Parallel()
	for text, lacks := range map[string]string{barMapping: "deliver account_balance: the mapping has none", small: "deliver intraday: the mapping has none"} {
		s, _ := serve(t, say(500, `{}`), func(c *Config) { c.Mapping = parsed(t, text) })
		_, balances := s.Balances(t.Context())
		_, positions := s.Positions(t.Context())
		_, bars := s.Bars(t.Context(), time.Time{})
		barsAlone := text == barMapping
		if (balances == nil) != barsAlone || (positions == nil) != barsAlone || (bars == nil) == barsAlone {
			t.Errorf("balances: %v, positions: %v, bars: %v", balances, positions, bars)
		}
		if who, err := s.Who(t.Context()); who != "" || err != nil {
			t.Errorf("it is %q, %v", who, err)
		}
		if limits := strings.Join(s.Limits(), "\n"); !strings.Contains(limits, lacks) || s.Has("intraday") != barsAlone || s.Has("positions") == barsAlone {
			t.Errorf("its limits: %s", limits)
		}
		for _, e := range s.Check(t.Context()).Endpoints {
			if e.Problem == "" || barsAlone != (e.Endpoint == "bars") {
				t.Errorf("checked %+v", e)
			}
		}
	}
}

func TestATimeAheadOfOursIsNow(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, say(200, `{"net":1,"at":"2099-01-01T00:00:00Z"}`), nil)
	balances, err := s.Balances(t.Context())
	if err != nil || time.Since(balances[0].Timestamp) > time.Minute || time.Since(balances[0].Timestamp) < 0 {
		t.Errorf("got %+v, %v", balances, err)
	}
}

func TestHeadersNameVariables(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store("key", r.Header.Get("X-Api-Key"))
		seen.Store("own", r.Header.Get("X-Own"))
		say(200, good)(w, r)
	}, func(c *Config) {
		c.Mapping.Headers = map[string]string{"X-Api-Key": "k $THOR_KEY"}
		c.Mapping.Balance.Headers = map[string]string{"X-Own": "v"}
		c.Env = func(name string) (string, bool) { return "secret", name == "THOR_KEY" }
	})
	if _, err := s.Balances(t.Context()); err != nil {
		t.Fatal(err)
	}
	if key, _ := seen.Load("key"); key != "k secret" {
		t.Errorf("X-Api-Key is %v", key)
	}
	if own, _ := seen.Load("own"); own != "v" {
		t.Errorf("X-Own is %v", own)
	}
	m := parsed(t, small)
	m.Headers = map[string]string{"X-Api-Key": "$NOWHERE"}
	if _, err := New(Config{URL: "http://localhost:1", Mapping: m}); err == nil || !strings.Contains(err.Error(), "the header X-Api-Key needs the variable NOWHERE, which is not set") {
		t.Errorf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://localhost:8001":            "",
		"http://127.0.0.1:8001/":           "",
		"http://[::1]:8001":                "",
		"https://desk.example.com/backend": "",
		"http://desk.example.com":          "without encryption. Use https",
		"http://192.168.1.5:8001":          "without encryption",
		"ftp://localhost":                  "is not the address of a backend",
		"localhost:8001":                   "is not the address of a backend",
		"":                                 "is not the address of a backend",
		"http://me:pw@localhost:8001":      "an address with a password in it ends up in logs",
		"http://localhost:8001/?x=1":       "more than an address",
	} {
		_, err := ParseURL(url)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || thor.ErrorCode(err) != thor.EINVALID) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestAHungConnectionEnds holds that a server that accepts and says nothing does
// not keep anybody.
func TestAHungConnectionEnds(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m := parsed(t, small)
	m.Balance.Timeout = Duration(100 * time.Millisecond)
	s := connect(t, Config{URL: "http://" + l.Addr().String(), Mapping: m})
	if _, err := s.Balances(t.Context()); source.KindOf(err) != source.Transient || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
}

// handle answers by path; with nothing, it fails.
func handle(paths map[string]func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := ""
		if answer := paths[r.URL.Path]; answer != nil {
			body = answer()
		}
		if body == "" {
			say(500, "{}")(w, r)
			return
		}
		say(200, body)(w, r)
	}
}
