//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thor"
)

// saboteur stands before a double and does to it what a test wants.
type saboteur struct {
	*httptest.Server
	fault atomic.Pointer[fault]
}

// fault answers a request in the backend's place. Answer has the backend's own.
type fault func(w http.ResponseWriter, r *http.Request, answer func() []byte)

func sabotage(t *testing.T, d *double) *saboteur {
	t.Helper()
	target, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	onward := httputil.NewSingleHostReverseProxy(target)
	p := &saboteur{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := p.fault.Load()
		if f == nil {
			onward.ServeHTTP(w, r)
			return
		}
		(*f)(w, r, func() []byte {
			answer := httptest.NewRecorder()
			onward.ServeHTTP(answer, r)
			return answer.Body.Bytes()
		})
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *saboteur) fail(f fault) { p.fault.Store(&f) }
func (p *saboteur) repair()      { p.fault.Store(nil) }

// says is a fault that answers the same to everything.
func says(status int, contentType, body string, header ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ func() []byte) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // who went away is not told
	}
}

// hangs is a fault that does not answer.
func hangs(_ http.ResponseWriter, r *http.Request, _ func() []byte) {
	_, _ = io.Copy(io.Discard, r.Body) // so that it is noticed when the other side gives up
	<-r.Context().Done()
}

// half is a fault that hangs up within its answer.
func half(w http.ResponseWriter, _ *http.Request, answer func() []byte) {
	body := answer()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// renames is a fault that has other names for some fields.
func renames(w http.ResponseWriter, _ *http.Request, answer func() []byte) {
	body := answer()
	for _, name := range []string{"net_liquidation", "quantity", "close"} {
		body = bytes.ReplaceAll(body, []byte(`"`+name+`"`), []byte(`"new_`+name+`"`))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// trouble is what the status says of a feature.
type trouble struct {
	Kind         string
	Since, Until time.Time
	Words        string
}

func (s *server) trouble(feature string) *trouble {
	s.t.Helper()
	var status struct {
		Features []struct {
			Feature string
			Trouble *trouble
		}
	}
	if _, body := s.get("/api/status"); json.Unmarshal(body, &status) != nil {
		s.t.Fatalf("status %s", body)
	}
	for _, f := range status.Features {
		if f.Feature == feature {
			return f.Trouble
		}
	}
	s.t.Fatalf("the status has no %s", feature)
	return nil
}

// TestEveryWayASourceFails holds, for every kind of failure, what people and
// clients are told from the wire to the status: the kind, the words, the last
// values, that nothing new comes and nothing turns into zero; and that all goes
// on by itself.
func TestEveryWayASourceFails(t *testing.T) {
	t.Parallel()
	d := startDouble(t, "0", "--bugs", "none", "--sim-start", "2026-11-18T15:00:05Z")
	for name, tt := range map[string]struct {
		fault fault
		kind  string
		words []string // in the status, and on the terminal
	}{
		"an expired login": {
			says(401, "application/json", `{"detail":"Given token not valid for any token type","code":"token_not_valid"}`), "auth_required",
			[]string{"POST /api/users/login/: it was refused with 401: Given token not valid for any token type (token_not_valid)", "Check THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD. thor tries once a minute."},
		},
		"429 with a reset": {
			func(w http.ResponseWriter, r *http.Request, answer func() []byte) {
				reset := strconv.FormatInt(time.Now().Add(15*time.Second).Unix(), 10)
				says(429, "application/json", `{"detail":"throttled"}`, "X-RateLimit-Reset", reset)(w, r, answer)
			}, "rate_limited", nil, // the first to ask hears why, the others that they must wait
		},
		"5xx":                  {says(502, "application/json", `{"detail":"bad gateway"}`), "transient", []string{"the backend failed with 502: bad gateway"}},
		"HTML instead of JSON": {says(200, "text/html", "<html><title>Welcome to nginx!</title></html>"), "bad_data", []string{`it is not JSON: a web page with the title "Welcome to nginx!"`, "Is this the backend itself, and not its front page or a sign-in of a proxy?"}},
		"half an answer":       {half, "transient", []string{"only a part of the answer came"}},
		"a changed field":      {renames, "bad_data", []string{"/net_liquidation is missing, and the mapping requires it", "thor upstream check shows what the backend answers, field by field."}},
		"a hung server":        {hangs, "transient", []string{"did not answer in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sabotage(t, d)
			s := serveUpstream(t, &double{url: p.URL})
			c := connect(t, s)
			balance := func(m message) bool { return m.Stream == "account_balance:PAPER-1" }
			if _, ok := c.until(60*time.Second, balance); !ok {
				t.Fatal("no balance comes")
			}
			p.fail(tt.fault)
			waitFor(t, 60*time.Second, "the status to say "+tt.kind, func() bool {
				found := s.trouble("account_balance")
				return found != nil && found.Kind == tt.kind
			})
			list := c.collect(time.Second) // what was on its way
			_, before := s.get("/api/account/balance?account_id=PAPER-1")
			_, held := s.get("/api/positions?account_id=PAPER-1")
			for _, m := range c.collect(6 * time.Second) {
				list = append(list, m)
				if m.Stream.Feature() == "account_balance" || m.Stream.Feature() == "positions" {
					t.Errorf("nothing could be read, and this comes: %s %s", m.Stream, m.Data)
				}
			}
			for _, m := range list {
				if balance(m) {
					wantMoney(t, m.Data)
				}
			}
			if !contains(list, "heartbeat") {
				t.Error("the heartbeat has stopped")
			}
			found := s.trouble("account_balance")
			if found == nil || found.Kind != tt.kind || found.Since.IsZero() || time.Since(found.Since) < 6*time.Second {
				t.Errorf("the status says %+v", found)
			}
			if found != nil && tt.kind == "rate_limited" && (time.Until(found.Until) > 16*time.Second || !strings.Contains(found.Words, "429") && !strings.Contains(found.Words, "left alone")) {
				t.Errorf("the status says %+v", found)
			}
			out, code := s.thor("status")
			for _, words := range append(tt.words, "job account_balance has failed") {
				if code != 0 || !strings.Contains(out, words) {
					t.Errorf("%q is not in the status:\n%s", words, out)
				}
			}
			response, after := s.get("/api/account/balance?account_id=PAPER-1")
			wantMoney(t, after)
			if age, _ := strconv.Atoi(response.Header.Get("Age")); response.StatusCode != 200 || age < 6 || !bytes.Equal(before, after) {
				t.Errorf("the last balance: %d, %d s old, %s, which was %s", response.StatusCode, age, after, before)
			}
			if _, after := s.get("/api/positions?account_id=PAPER-1"); !bytes.Equal(held, after) || bytes.Count(after, []byte(`"symbol"`)) < 2 {
				t.Errorf("the last positions: %s, which were %s", after, held)
			}
			p.repair()
			if _, ok := c.until(120*time.Second, balance); !ok {
				t.Errorf("no balance comes any more; the status says %+v", s.trouble("account_balance"))
			}
			waitFor(t, 60*time.Second, "the status to say that all is well", func() bool { return s.trouble("account_balance") == nil })
		})
	}
}

// wantMoney holds that nothing of a balance is zero that the double has.
func wantMoney(t *testing.T, data []byte) {
	t.Helper()
	var b thor.AccountBalance
	err := json.Unmarshal(data, &b)
	for _, amount := range []thor.Decimal{b.PortfolioValue, b.Equity, b.Cash, b.BuyingPower} {
		if err != nil || amount.Known() && amount.Sign() == 0 {
			t.Errorf("%v: %s", err, data)
			return
		}
	}
}

func contains(list []message, kind string) bool {
	for _, m := range list {
		if m.Type == kind {
			return true
		}
	}
	return false
}
