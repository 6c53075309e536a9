package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
)

// ways are how a request gets in.
func ways(d *auth.Door) map[string]func(*http.Request) (auth.Principal, error) {
	return map[string]func(*http.Request) (auth.Principal, error){"REST": d.Authenticate, "WebSocket": d.AuthenticateUpgrade}
}

func withTicket(ticket string) *http.Request {
	return httptest.NewRequest("GET", "/ws/?ticket="+ticket, nil)
}

func TestTickets(t *testing.T) {
	t.Parallel()
	ada := func() auth.Principal {
		return auth.Principal{Subject: "ada", Accounts: []string{"A-1"}, Roles: []auth.Role{auth.Viewer}, Expires: time.Now().Add(time.Hour)}
	}
	give := func(t *testing.T, d *auth.Door, p auth.Principal) string {
		t.Helper()
		ticket, err := d.NewTicket(p)
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	const unknown = "the ticket is used, expired or unknown. Get a new one: POST /api/ticket."
	refused := func(t *testing.T, d *auth.Door, ticket string) {
		t.Helper()
		p, err := d.AuthenticateUpgrade(withTicket(ticket))
		if thor.ErrorCode(err) != thor.EUNAUTHORIZED || err.Error() != unknown {
			t.Errorf("let in as %+v: %v", p, err)
		}
	}
	run := func(name string, test func(t *testing.T, d *auth.Door)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, &auth.Door{Key: key}) })
		})
	}
	run("one lets its principal in once, with the token's expiry", func(t *testing.T, d *auth.Door) {
		want := ada()
		ticket := give(t, d, want)
		time.Sleep(auth.TicketTTL - time.Second)
		got, err := d.AuthenticateUpgrade(withTicket(ticket))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		refused(t, d, ticket)
	})
	run("one is over after 30 seconds", func(t *testing.T, d *auth.Door) {
		ticket := give(t, d, ada())
		time.Sleep(auth.TicketTTL)
		refused(t, d, ticket)
	})
	run("one that nobody gave, and none, are refused", func(t *testing.T, d *auth.Door) {
		refused(t, d, "AAAAAAAAAAAAAAAAAAAAAAAAAA")
		refused(t, d, "")
	})
	run("REST takes none", func(t *testing.T, d *auth.Door) {
		if p, err := d.Authenticate(withTicket(give(t, d, ada()))); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("let in as %+v: %v", p, err)
		}
	})
	run("one outlives its token by nothing", func(t *testing.T, d *auth.Door) {
		p := ada()
		p.Expires = time.Now().Add(5 * time.Second)
		ticket := give(t, d, p)
		time.Sleep(6 * time.Second)
		if _, err := d.AuthenticateUpgrade(withTicket(ticket)); err == nil || !strings.Contains(err.Error(), "has expired") {
			t.Errorf("error %v", err)
		}
	})
	run("a user has so many, and others are not told to wait for it", func(t *testing.T, d *auth.Door) {
		time.Sleep(time.Second)
		first := give(t, d, ada())
		time.Sleep(10 * time.Second)
		n := 1
		var err error
		for ; err == nil && n < 1000; n++ {
			_, err = d.NewTicket(ada())
		}
		if thor.ErrorCode(err) != thor.ETOOMANY || n != 41 || auth.RetryAfter(err) != 20 {
			t.Fatalf("after %d: %v, wait %d; want 40 and 20 s, until the first is over", n-1, err, auth.RetryAfter(err))
		}
		bob := ada()
		bob.Subject = "bob"
		give(t, d, bob)
		if _, err := d.AuthenticateUpgrade(withTicket(first)); err != nil { // makes room
			t.Fatal(err)
		}
		give(t, d, ada())
		time.Sleep(auth.TicketTTL)
		give(t, d, ada()) // those that are over count no more
	})
	run("all together have so many", func(t *testing.T, d *auth.Door) {
		for i := range 10_000 {
			p := ada()
			p.Subject = fmt.Sprint("user ", i)
			give(t, d, p)
		}
		if _, err := d.NewTicket(ada()); thor.ErrorCode(err) != thor.ETOOMANY || auth.RetryAfter(err) != 30 {
			t.Fatalf("error %v", err)
		}
		time.Sleep(auth.TicketTTL)
		give(t, d, ada())
	})
	run("the local operator needs none and is told so", func(t *testing.T, _ *auth.Door) {
		d := &auth.Door{}
		if _, err := d.NewTicket(auth.LocalOperator()); thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(err.Error(), "needs no ticket") {
			t.Errorf("error %v", err)
		}
		if _, err := d.AuthenticateUpgrade(withTicket("x")); err == nil || !strings.Contains(err.Error(), "there are no tickets") {
			t.Errorf("error %v", err)
		}
	})
	run("wrong ones and wrong tokens count against their address alone, and a right one is let in", func(t *testing.T, _ *auth.Door) {
		d := &auth.Door{Key: key, Failures: &auth.Rates{PerSecond: 1, Burst: 3}}
		for range 2 {
			refused(t, d, "x")
		}
		bad := httptest.NewRequest("GET", "/", nil)
		bad.Header.Set("Authorization", "Bearer nonsense")
		if _, err := d.Authenticate(bad); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("the third: %v", err)
		}
		for way, authenticate := range ways(d) {
			if _, err := authenticate(bad); thor.ErrorCode(err) != thor.ETOOMANY || auth.RetryAfter(err) != 1 {
				t.Errorf("%s, the fourth: %v", way, err)
			}
		}
		expired, err := d.NewToken(ada(), time.Now().Add(-time.Hour), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		polls := httptest.NewRequest("GET", "/", nil)
		for _, header := range []string{"Bearer " + expired, ""} {
			polls.Header.Set("Authorization", header)
			for range 10 { // a page whose token is over must hear that
				if _, err := d.Authenticate(polls); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
					t.Fatalf("%q: %v", header, err)
				}
			}
		}
		if _, err := d.AuthenticateUpgrade(withTicket(give(t, d, ada()))); err != nil {
			t.Errorf("a right one: %v", err)
		}
		elsewhere := withTicket("x")
		elsewhere.RemoteAddr = "192.0.2.99:1"
		if _, err := d.AuthenticateUpgrade(elsewhere); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("elsewhere: %v", err)
		}
		time.Sleep(time.Second)
		refused(t, d, "x")
	})
}
