package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
)

func TestCensus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewConsumers()
		start := time.Now().UTC()
		desk := Consumer{Feature: "positions", Via: ViaFrontDoor, UserAgent: "desk/1", Principal: "ada"}
		c.Count(desk)
		time.Sleep(40 * time.Minute)
		c.Count(Consumer{Feature: "account_balance", Via: ViaREST, UserAgent: "desk/1"})
		c.Count(Consumer{Feature: "positions", Via: ViaREST, UserAgent: "desk/1", Principal: "ada"})
		c.Count(Consumer{Feature: "positions", Via: ViaREST, UserAgent: "desk/1", Principal: "ada", Thor: true})
		time.Sleep(40 * time.Minute)
		c.Count(desk)
		at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
		want := Census{Since: start, Consumers: []Consumer{
			{Feature: "account_balance", Via: ViaREST, UserAgent: "desk/1", Principal: "unknown", First: at(40), Last: at(40), Requests: 1},
			{Feature: "positions", Via: ViaFrontDoor, UserAgent: "desk/1", Principal: "ada", First: start, Last: at(80), Requests: 2},
			{Feature: "positions", Via: ViaREST, UserAgent: "desk/1", Principal: "ada", First: at(40), Last: at(40), Requests: 1},
			{Feature: "positions", Via: ViaREST, UserAgent: "desk/1", Principal: "ada", Thor: true, First: at(40), Last: at(40), Requests: 1},
		}}
		got := c.Census()
		if diff := cmp.Diff(want.Consumers[:2], got.Consumers[:2]); diff != "" || !got.Since.Equal(want.Since) || got.Forgotten != 0 || len(got.Consumers) != 4 {
			t.Errorf("-want +got:\n%s\n%+v", diff, got)
		}
		// Whoever comes both ways is one.
		if diff := cmp.Diff(map[string]int64{"account_balance": 1, "positions": 2}, c.Within(at(20))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int64{"positions": 1}, c.Within(at(60))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestCensusIsBounded holds that agents which somebody makes up cost no memory,
// and push out nobody who is known.
func TestCensusIsBounded(t *testing.T) {
	t.Parallel()
	c := NewConsumers()
	known := Consumer{Feature: "positions", Via: ViaFrontDoor, UserAgent: "desk/1", Principal: "ada"}
	often := Consumer{Feature: "positions", Via: ViaFrontDoor, UserAgent: "cron/1"}
	c.Count(known)
	for i := range 3 * maxConsumers {
		c.Count(often)
		c.Count(Consumer{Feature: "positions", Via: ViaFrontDoor, UserAgent: fmt.Sprintf("made up %d", i)})
	}
	got := c.Census()
	if len(got.Consumers) != maxConsumers+1 || got.Forgotten != 2*maxConsumers+1 {
		t.Fatalf("%d consumers, %d forgotten", len(got.Consumers), got.Forgotten)
	}
	requests := map[string]int64{}
	for _, one := range got.Consumers {
		requests[one.UserAgent] = one.Requests
	}
	if requests["desk/1"] != 1 || requests["cron/1"] != 3*maxConsumers || requests[fmt.Sprintf("made up %d", 3*maxConsumers-1)] != 1 {
		t.Errorf("desk %d, cron %d", requests["desk/1"], requests["cron/1"])
	}
}

func TestAgentsAreForPeopleToRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", maxAgent)
	for said, want := range map[string]string{
		"curl/8.0":                  "curl/8.0",
		"":                          "",
		"a\x1b[31mred\x00\r\nb\x7f": "a[31mredb",
		"left\u202eright\u200b":     "leftright",
		"bad \xff\xfe utf8":         "bad  utf8",
		"東京 ä":                      "東京 ä",
		long:                        long[:maxAgent],
		"x" + long:                  "x" + long[:maxAgent-2],
	} {
		if got := printable(said); got != want || !utf8.ValidString(got) || len(got) > maxAgent {
			t.Errorf("%q is shown as %q, want %q", said, got, want)
		}
	}
}

// TestWhoAsksREST holds that whoever asks for a feature is in the census, also
// when there is nothing to give.
func TestWhoAsksREST(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: doorKey}
	w := setup(t, func(c *Config) { c.Door, c.Consumers = door, NewConsumers() })
	operator, err := door.NewToken(auth.Principal{Subject: "olga", Roles: []auth.Role{auth.Operator}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ada := token(t, door, "ada", time.Hour)
	w.get("/api/global-market", append(ada, "User-Agent", "desk/1")...)
	w.get("/api/global-market/", append(ada, "User-Agent", "desk/1")...)
	w.get("/api/global-market/", append(ada, "User-Agent", "desk/1", "Thor-Client", "c1")...)
	w.get("/api/positions?account_id=X", append(ada, "User-Agent", "desk/1")...)
	w.get("/api/global-market", "User-Agent", "nobody") // has no token
	w.get("/api/status", append(ada, "User-Agent", "desk/1")...)
	wantProblem(t, w.get("/api/consumers", ada...), http.StatusForbidden, thor.EFORBIDDEN, "operator")
	answer := w.get("/api/consumers", "Authorization", "Bearer "+operator)
	var got Census
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	said := map[string]int64{}
	for _, one := range got.Consumers {
		said[fmt.Sprintln(one.Feature, one.Via, one.UserAgent, one.Principal, one.Thor)] = one.Requests
	}
	want := map[string]int64{
		"global_market rest desk/1 ada false\n": 2, "global_market rest desk/1 ada true\n": 1, "positions rest desk/1 ada false\n": 1,
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Contains(answer.Body.String(), "desk/1?") || strings.Contains(answer.Body.String(), `"X"`) {
		t.Errorf("an account is in it: %s", answer.Body)
	}
}

// BenchmarkCount is what the census costs a request.
func BenchmarkCount(b *testing.B) {
	c := NewConsumers()
	asks := make([]Consumer, 100)
	for i := range asks {
		asks[i] = Consumer{
			Feature: "positions", Via: ViaFrontDoor, Principal: fmt.Sprintf("user-%d", i),
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		}
	}
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				c.Count(asks[i%len(asks)])
			}
		})
	})
	b.Run("made up", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.Count(Consumer{Feature: "positions", Via: ViaFrontDoor, UserAgent: fmt.Sprint(i)})
		}
	})
}
