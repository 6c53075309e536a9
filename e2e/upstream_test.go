//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"thor"
)

// double is a running double of a backend.
type double struct {
	t     *testing.T
	cmd   *exec.Cmd
	args  []string
	url   string
	key   string // its tokens are signed with
	token string
}

// startDouble starts a double on a port, 0 for a free one.
func startDouble(t *testing.T, port string, args ...string) *double {
	t.Helper()
	d := &double{t: t, args: args}
	d.cmd = exec.Command(binary, append([]string{"sim", "backend", "--addr", "127.0.0.1:" + port}, args...)...)
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "REST "); ok {
			d.url = rest
		}
		if _, key, ok := strings.Cut(lines.Text(), "--auth-key "); ok {
			d.key = key
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			d.token = d.signIn("trader").Access
			return d
		}
	}
	t.Fatal("the double does not start")
	return nil
}

func (d *double) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	_ = d.cmd.Wait()         // how it ended is no news
}

// again starts the double once more, where it was.
func (d *double) again() *double {
	d.t.Helper()
	at, err := url.Parse(d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	return startDouble(d.t, at.Port(), d.args...)
}

// pair is what a sign-in gives.
type pair struct{ Access, Refresh string }

func (d *double) signIn(user string) (p pair) {
	d.t.Helper()
	form := fmt.Sprintf(`{"email":"%s@example.com","password":"simulated"}`, user)
	response, err := http.Post(d.url+"/api/users/login/", "application/json", strings.NewReader(form))
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil || p.Access == "" {
		d.t.Fatalf("signing in: %v", err)
	}
	return p
}

// get asks the double as its own page would.
func (d *double) get(path string) []byte {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %d %s, %v", path, response.StatusCode, body, err)
	}
	return body
}

// serveUpstream starts a server that reads a double.
func serveUpstream(t *testing.T, d *double, args ...string) *server {
	t.Helper()
	data := t.TempDir()
	cmd := exec.Command(binary, append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--upstream", d.url, "--preset", "thor"}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "THOR_UPSTREAM_USER=trader@example.com", "THOR_UPSTREAM_PASSWORD=simulated")
	s := serveCommand(t, cmd)
	s.data = data
	return s
}

// legacyBalance is a balance in the words of the backend.
type legacyBalance struct {
	Account   string       `json:"account_id"`
	NetLiq    thor.Decimal `json:"net_liquidation"`
	Equity    thor.Decimal
	Cash      thor.Decimal
	BP        thor.Decimal `json:"buying_power"`
	DayBP     thor.Decimal `json:"day_trade_bp"`
	Source    string
	UpdatedAt string `json:"updated_at"`
}

// answers are what the double said while it was watched.
type answers struct {
	balances  map[string]legacyBalance // by account and time
	positions map[string]bool          // by account and the text of the rows
	bars      map[string]bool          // by their numbers
}

func (d *double) watch(a *answers) {
	d.t.Helper()
	for _, account := range []string{"PAPER-1", "PAPER-2"} {
		var b legacyBalance
		if err := json.Unmarshal(d.get("/api/accounts/balance/?account_id="+account), &b); err != nil {
			d.t.Fatal(err)
		}
		a.balances[account+strings.TrimSuffix(b.UpdatedAt, "+00:00")] = b
		var p struct {
			Positions []struct {
				Symbol, Quantity string
				Avg              string `json:"avg_price"`
				Mark             string `json:"mark_price"`
				PL               string `json:"unrealized_pl"`
			}
		}
		if err := json.Unmarshal(d.get("/api/actandpos/positions?account_id="+account), &p); err != nil {
			d.t.Fatal(err)
		}
		var rows []string
		for _, r := range p.Positions {
			rows = append(rows, fmt.Sprintln(r.Symbol, plain(r.Quantity), plain(r.Avg), plain(r.Mark), plain(r.PL)))
		}
		a.positions[account+strings.Join(rows, "")] = true
	}
	var bar struct {
		Latest *struct{ Open, High, Low, Close, Volume thor.Decimal } `json:"intraday_latest"`
	}
	if err := json.Unmarshal(d.get("/api/session?market=USA&future=ES"), &bar); err != nil {
		d.t.Fatal(err)
	}
	if l := bar.Latest; l != nil {
		a.bars[fmt.Sprintln(plain(l.Open.String()), plain(l.High.String()), plain(l.Low.String()), plain(l.Close.String()), plain(l.Volume.String()))] = true
	}
}

// plain is a number without zeros at its end, so that texts can be compared.
func plain(text string) string {
	if strings.Contains(text, ".") {
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// matches counts, of what came over the WebSocket, what the double had said as
// well, and reports what it had not.
func (a *answers) matches(t *testing.T, list []message) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, m := range list {
		switch m.Stream.Feature() {
		case "account_balance":
			b := decode[thor.AccountBalance](t, m)
			want, ok := a.balances[b.AccountID+b.Timestamp.Format("2006-01-02T15:04:05")]
			if !ok {
				continue // the two did not ask in the same second
			}
			if want.Source == "redis" { // its cache has neither: unknown, and not zero
				want.Cash, want.Equity = thor.Decimal{}, thor.Decimal{}
			}
			if b.PortfolioValue.Equal(want.NetLiq) && b.Cash.Equal(want.Cash) && b.Equity.Equal(want.Equity) &&
				b.BuyingPower.Equal(want.BP) && b.DayTradingBuyingPower.Equal(want.DayBP) {
				found[string(m.Stream)]++
			} else {
				t.Errorf("the balance %s, and the backend said %+v", m.Data, want)
			}
		case "positions":
			p := decode[thor.Positions](t, m)
			var rows []string
			for _, r := range p.Positions {
				rows = append(rows, fmt.Sprintln(strings.TrimPrefix(r.Display, "/"), plain(r.Quantity.String()), plain(r.EntryPrice.String()),
					plain(r.CurrentPrice.String()), plain(r.PnL.String())))
			}
			if a.positions[p.AccountID+strings.Join(rows, "")] {
				found[string(m.Stream)]++
			}
		case "intraday":
			b := decode[thor.Bar](t, m)
			numbers := fmt.Sprintln(plain(b.Open.String()), plain(b.High.String()), plain(b.Low.String()), plain(b.Close.String()), plain(b.Volume.String()))
			if m.Stream == "intraday:FUT.ES" && a.bars[numbers] {
				found[string(m.Stream)]++
			}
		case "global_market":
			found[string(m.Stream)]++
		}
	}
	return found
}

// TestABackendBeside runs the two side by side: every feature arrives with the
// backend's own values; while the backend is away nothing arrives, nothing turns
// into zero, and the status says what is wrong; when it is back, all goes on.
func TestABackendBeside(t *testing.T) {
	t.Parallel()
	// A Wednesday at five times the speed: a new bar every twelve seconds.
	d := startDouble(t, "0", "--sim-start", "2026-11-18T15:00:05Z", "--sim-speed", "5")
	s := serveUpstream(t, d)
	c := connect(t, s)

	streams := []string{"account_balance:PAPER-1", "account_balance:PAPER-2", "positions:PAPER-1", "positions:PAPER-2", "intraday:FUT.ES", "global_market"}
	said := &answers{map[string]legacyBalance{}, map[string]bool{}, map[string]bool{}}
	var list []message
	var found map[string]int
	missing := func() (names []string) {
		for _, stream := range streams {
			if found[stream] < 1 {
				names = append(names, stream)
			}
		}
		return names
	}
	for deadline := time.Now().Add(90 * time.Second); ; {
		for range 20 {
			d.watch(said)
		}
		list = append(list, c.collect(10*time.Millisecond)...)
		found = said.matches(t, list)
		if len(missing()) == 0 && found["account_balance:PAPER-2"] > 2 {
			break
		}
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("%v did not come as the backend says it; of the others %v", missing(), found)
		}
	}
	if out, _ := s.thor("status"); !strings.Contains(out, "source upstream SIMULATED (never run against the real service)") {
		t.Errorf("status:\n%s", out)
	}

	// Away: what has begun may end, then there is silence.
	d.kill()
	c.collect(3 * time.Second)
	for _, m := range c.collect(6 * time.Second) {
		if m.Stream != "" && m.Stream != "global_market" {
			t.Errorf("the backend is away, and this comes: %s %s", m.Stream, m.Data)
		}
	}
	out, _ := s.thor("status")
	if !strings.Contains(out, "job account_balance has failed") || !strings.Contains(out, "nobody listens at localhost:") || !strings.Contains(out, "Is the backend running?") {
		t.Errorf("the status does not name the trouble:\n%s", out)
	}
	var status struct {
		Features []struct {
			Feature string
			Last    int64 `json:"last_ms"`
		}
	}
	if _, body := s.get("/api/status"); json.Unmarshal(body, &status) != nil || len(status.Features) != 4 {
		t.Fatalf("status %s", body)
	}
	for _, f := range status.Features {
		if f.Feature != "global_market" && f.Last < 5000 {
			t.Errorf("%s looks %d ms old after nine seconds of silence", f.Feature, f.Last)
		}
	}
	for _, account := range []string{"PAPER-1", "PAPER-2"} {
		response, body := s.get("/api/account/balance?account_id=" + account)
		var b thor.AccountBalance
		if err := json.Unmarshal(body, &b); err != nil || response.StatusCode != 200 || b.PortfolioValue.Sign() <= 0 || b.BuyingPower.Sign() <= 0 {
			t.Errorf("the last balance: %d %s", response.StatusCode, body)
		}
		_, body = s.get("/api/positions?account_id=" + account)
		if rows := bytes.Count(body, []byte(`"symbol"`)); rows < 2 {
			t.Errorf("the last positions have %d rows: %s", rows, body)
		}
	}
	if response, _ := s.get("/readyz"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d while the backend is away", response.StatusCode)
	}

	// Back.
	d.again()
	back := map[string]bool{}
	if _, ok := c.until(90*time.Second, func(m message) bool {
		back[m.Stream.Feature()] = true
		return back["account_balance"] && back["positions"] && back["intraday"]
	}); !ok {
		out, _ := s.thor("status")
		t.Fatalf("after the backend came back only %v came:\n%s", back, out)
	}
	eventually(t, "the server is ready again", func() bool {
		response, _, err := s.tryGet("/readyz")
		return err == nil && response.StatusCode == http.StatusOK
	})
}

// TestASimulatedStoreIsNotTheBackends holds that the data of the simulator is
// never shown beside a backend's.
func TestASimulatedStoreIsNotTheBackends(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.kill()
	d := startDouble(t, "0")
	cmd := exec.Command(binary, "serve", "--addr", "127.0.0.1:0", "--data", s.data, "--upstream", d.url)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 5 || !strings.Contains(string(out), "holds data of sim with seed 1, not of upstream at "+d.url) {
		t.Errorf("%v\n%s", err, out)
	}
}
