package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

func TestTheRecorderIsASource(t *testing.T) {
	t.Parallel()
	t.Run("asked for accounts", func(t *testing.T) {
		t.Parallel()
		sourcetest.Run(t, func(t *testing.T) source.Source {
			r, _ := startRecording(t, newDesk())
			return r
		})
	})
	t.Run("asked for balances and positions", func(t *testing.T) {
		t.Parallel()
		sourcetest.Run(t, func(t *testing.T) source.Source {
			r, _ := startRecording(t, apart{newDesk()})
			if can := r.Abilities(); can.Accounts != nil || can.Balances == nil || can.Positions == nil {
				t.Errorf("it can %+v", can)
			}
			return r
		})
	})
	t.Run("it can what the other can", func(t *testing.T) {
		t.Parallel()
		r, _ := startRecording(t, source.None{})
		if can := source.AbilitiesOf(r); can != (source.Abilities{}) {
			t.Errorf("of nothing it can %+v", can)
		}
	})
}

func TestAReplayIsASource(t *testing.T) {
	t.Parallel()
	for _, s := range []func() source.Source{
		func() source.Source { return newDesk() },
		func() source.Source { return apart{newDesk()} },
	} {
		sourcetest.Run(t, func(t *testing.T) source.Source {
			r, path := startRecording(t, s())
			if err := askAll(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			closeIt(t, r)
			return takeAll(t, path, 5)
		})
	}
}

// takeAll plays so many lines of a recording.
func takeAll(t *testing.T, path string, n int) *Source {
	t.Helper()
	rec, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(rec, 3600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIt(t, s) })
	for range n {
		if _, more := s.Next(); !more {
			break
		}
		if _, err := s.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestWhatWasSaidIsSaidAgain compares, digit by digit, what a source says with
// what a recording of it says.
func TestWhatWasSaidIsSaidAgain(t *testing.T) {
	t.Parallel()
	d := newDesk()
	r, path := startRecording(t, d)
	var accounts []source.Account
	var bars []thor.Bar
	var markets []thor.MarketStatus
	d.say(&source.Error{Kind: source.RateLimited, Source: "desk", Op: "bars", Status: 429, RetryAt: monday.Add(time.Hour), Err: errors.New("slow down")})
	bars, failed := r.Abilities().Bars.Bars(t.Context(), monday)
	d.say(nil)
	accounts, err1 := r.Abilities().Accounts.Accounts(t.Context())
	markets, err2 := r.Abilities().Markets.Markets(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	closeIt(t, r)

	s := takeAll(t, path, 3)
	same := cmp.Options{cmp.Comparer(func(a, b thor.Decimal) bool { return a.Known() == b.Known() && a.String() == b.String() })}
	got, err := s.Bars(t.Context(), monday)
	if diff := cmp.Diff(bars, got, same); diff != "" || len(got) == 0 {
		t.Errorf("bars (-said +said again):\n%s", diff)
	}
	want, _ := errors.AsType[*source.Error](failed)
	if e, ok := errors.AsType[*source.Error](err); !ok || e.Error() != want.Error() || !e.RetryAt.Equal(want.RetryAt) || e.Kind != want.Kind || e.Status != 429 {
		t.Errorf("the error is %v, and was %v", err, failed)
	}
	if got, err := s.Bars(t.Context(), monday.Add(time.Hour)); len(got) != 0 || err == nil {
		t.Errorf("bars of later: %v, %v", got, err)
	}
	if got, err := s.Markets(t.Context()); err != nil || cmp.Diff(markets, got, same) != "" {
		t.Errorf("markets %v, %v", got, err)
	}
	balances, err1 := s.Balances(t.Context())
	positions, err2 := s.Positions(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i, a := range accounts {
		name := balances[i].AccountID
		names[name] = true
		if !regexp.MustCompile(`^ACCT-[0-9a-f]{16}$`).MatchString(name) || !thor.ValidID(name) {
			t.Errorf("account %s has become %q", a.Balance.AccountID, name)
		}
		a.Balance.AccountID, a.Positions.AccountID = name, name
		a.Positions.Positions[0].Display = "AAPL in " + name
		if diff := cmp.Diff(a, source.Account{Balance: balances[i], Positions: positions[i]}, same); diff != "" {
			t.Errorf("account (-said +said again):\n%s", diff)
		}
	}
	if len(names) != 2 {
		t.Errorf("two accounts have become %d", len(names))
	}
	if s.Name() != "replay" || !s.Caps().Simulated || !s.Clock().Virtual() || s.Clock().Speed() != 3600 {
		t.Errorf("it is %s, %+v", s.Name(), s.Caps())
	}
}

// TestNoAccountAndNoTokenIsRecorded scans the file, as it is and uncompressed.
func TestNoAccountAndNoTokenIsRecorded(t *testing.T) {
	t.Parallel()
	path := recordSome(t)
	zipped, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines(t, path), "")
	for _, secret := range append(strings.Split(token, "."), number, other, unread, password, token) {
		if strings.Contains(strings.ToLower(text+string(zipped)), strings.ToLower(secret)) {
			t.Errorf("%q is in it", secret)
		}
	}
	for _, kept := range []string{
		`"positions of •••"`, "too often for ACCT-", "signed in as •••", "is not yours", "localhost:8001 after 2.5s on 2026-11-23T15:00:07Z", `"status":429`,
		`"retry_at":"2026-11-23T15:10:00Z"`, `"kind":"forbidden"`, `"kind":"bad_data"`,
	} {
		if !strings.Contains(text, kept) {
			t.Errorf("%q is not in it", kept)
		}
	}
	if again := strings.Join(lines(t, recordSome(t)), ""); accountsIn(again)[0] == accountsIn(text)[0] {
		t.Error("an account has the same name in two recordings")
	}
	if list := accountsIn(text); len(list) != 2 {
		t.Errorf("two accounts have the names %v", list)
	}
}

func accountsIn(text string) []string {
	list := regexp.MustCompile(`ACCT-[0-9a-f]+`).FindAllString(text, -1)
	slices.Sort(list)
	return slices.Compact(list)
}

func TestScrubber(t *testing.T) {
	t.Parallel()
	s := newScrubber([]string{"pw", "hunter", "hunter2"})
	one, ten, short, plain := s.account("PAPER-1"), s.account("PAPER-10"), s.account("a1"), s.account("equity")
	if s.account("paper-1") != one || one == ten {
		t.Errorf("names %s, %s", one, ten)
	}
	if s.account("") != "" {
		t.Error("nothing has got a name")
	}
	for text, want := range map[string]string{
		"PAPER-1, paper-10 and xPAPER-1y": one + ", " + ten + " and x" + one + "y",
		"a1 in b, a12 and aa1":            short + " in b, a12 and aa1",
		"equity and equities":             plain + " and equities",
		"hunter2 hunter pwd":              "••• ••• pwd",
		one + " stays":                    one + " stays",
		"":                                "",
	} {
		if got := s.text(text); got != want {
			t.Errorf("%q has become %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"status 503, 17 of 200 rows, 12.5 s, at 10:03:04":        "status 503, 17 of 200 rows, 12.5 s, at 10:03:04",
		"2026-11-23T15:00:00.123456Z 2026-11-23 1h2m3.5s 250ms.": "2026-11-23T15:00:00.123456Z 2026-11-23 1h2m3.5s 250ms.",
		"account 12345 or Z-77 or AB1":                           "account ••• or ••• or •••",
		"a" + strings.Repeat("x", 30):                            "•••",
		"/results/0/equity is \"n/a\" for EQ.AAPL":               "/results/0/" + plain + " is \"n/a\" for EQ.AAPL",
		"user@example.com:pass1word!":                            "user@example.com:•••!",
	} {
		if got := s.words(text); got != want {
			t.Errorf("%q has become %q, want %q", text, got, want)
		}
	}
	got := string(s.json([]byte(`{"equity":1,"a":"equity","b\"":["x \"PAPER-1\" \\",null,10]}`)))
	if want := `{"equity":1,"a":"` + plain + `","b\"":["x \"` + one + `\" \\",null,10]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestWhatIsNotAnAnswer holds what is recorded when there is none.
func TestWhatIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk()
	r, path := startRecording(t, d)
	hangUp, cancel := context.WithCancel(t.Context())
	cancel()
	if err := askAll(hangUp, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	if err := askAll(late, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	d.panic = true
	func() {
		defer func() {
			if p := recover(); p != "the desk is on fire" {
				t.Errorf("the caller sees the panic %v", p)
			}
		}()
		_, _ = r.Abilities().Bars.Bars(t.Context(), monday)
	}()
	d.panic = false
	closeIt(t, r)
	if err := askAll(t.Context(), r); err != nil { // too late for the recording
		t.Error(err)
	}
	if end := r.Summary(); end.Answers != 4 || end.Errors != 4 {
		t.Errorf("summary %+v", end)
	}
	said, err := play(t, path, false)
	if err != nil || len(said) != 5 || !strings.Contains(said[0], "context deadline exceeded") || !strings.Contains(said[4], "panic: the desk is on fire") {
		t.Errorf("it says %v, %v", said, err)
	}
}

// slowDesk asks somebody else for bars, and not often.
type slowDesk struct{ *desk }

func (slowDesk) Every(feature string) time.Duration {
	if feature == "intraday" {
		return time.Minute
	}
	return 0
}

// TestASlowSource holds that a replay is as slow as what was recorded.
func TestASlowSource(t *testing.T) {
	t.Parallel()
	r, path := startRecording(t, slowDesk{newDesk()})
	if r.Abilities().Paced == nil {
		t.Error("the recorder does not say how slow it is")
	}
	closeIt(t, r)
	paced := takeAll(t, path, 0).Abilities().Paced
	if paced == nil || paced.Every("intraday") != time.Minute || paced.Every("positions") != 0 {
		t.Errorf("the replay is paced %v", paced)
	}
}

// TestAnAnswerInPart holds that it is one again.
func TestAnAnswerInPart(t *testing.T) {
	t.Parallel()
	d := newDesk()
	r, path := startRecording(t, d)
	d.say(&source.Partial{Err: errors.Join(
		&source.Error{Kind: source.Forbidden, Source: "desk", Op: "one"}, &source.Error{Kind: source.BadData, Source: "desk", Op: "another"},
	)})
	_, failed := r.Abilities().Accounts.Accounts(t.Context())
	closeIt(t, r)
	got, err := takeAll(t, path, 1).Positions(t.Context())
	part, ok := errors.AsType[*source.Partial](err)
	if !ok || part.Error() != failed.Error() || len(got) != 2 {
		t.Errorf("%d answers and %v, want %v", len(got), err, failed)
	}
}

// TestASourceThatTurnsOutToBeSimulated holds that a recording says so too.
func TestASourceThatTurnsOutToBeSimulated(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.caps = source.Caps{Unproven: true}
	r, path := startRecording(t, d)
	if err := askAll(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	d.caps.Simulated = true
	if err := askAll(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	closeIt(t, r)
	rec, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, rec.file)
	if !rec.Caps.Simulated || !rec.Caps.Unproven || !rec.Whole || fmt.Sprint(rec.Features()) != "[account_balance positions intraday global_market]" {
		t.Errorf("it is %+v", rec)
	}
}

func TestTheEndOfARecording(t *testing.T) {
	t.Parallel()
	s := takeAll(t, recordSome(t), 100)
	s.End()
	if err := askAll(t.Context(), s); source.KindOf(err) != source.EndOfData || !s.Over() {
		t.Errorf("behind the end it says %v", err)
	}
	if at, more := s.Next(); more || !at.Equal(s.rec.To) {
		t.Errorf("next is %v, %v", at, more)
	}
}
