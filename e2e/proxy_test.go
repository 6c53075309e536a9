//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// A proxy on this machine makes everybody's requests look like this machine's.
func TestProxyWithoutKey(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, config := range map[string]string{
		"as documented":        documentedProxy(t),
		"that does not say so": "server { listen 8080; location / { proxy_http_version 1.0; proxy_pass http://127.0.0.1:8000; } }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := proxy(t, s, config)
			for _, path := range []string{"/api/status", "/api/account/balance?account_id=PAPER-1", "/metrics"} {
				status, body := ask(t, http.MethodGet, n.URL+path, nil)
				if status != http.StatusUnauthorized || !bytes.Contains(body, []byte("--auth-key or THOR_AUTH_KEY")) {
					t.Errorf("%s: got %d %s, want 401 and the setting that is missing", path, status, body)
				}
			}
			if status, body := ask(t, http.MethodPost, n.URL+"/api/features/positions/rollback", nil); status != http.StatusUnauthorized {
				t.Errorf("rollback: got %d %s, want 401", status, body)
			}
			if status, _ := ask(t, http.MethodGet, n.URL+"/", nil); status != http.StatusOK {
				t.Errorf("the page: got %d, want 200: it shows no data", status)
			}
		})
	}
	t.Run("nor by WebSocket", func(t *testing.T) {
		t.Parallel()
		n := proxy(t, s, documentedProxy(t))
		caller{url: n.URL}.dial(t).wantClose(t, 4401)
	})
	t.Run("without the proxy it is the operator", func(t *testing.T) {
		t.Parallel()
		if status, body := ask(t, http.MethodGet, s.URL+"/api/status", nil); status != http.StatusOK {
			t.Errorf("got %d %s, want 200", status, body)
		}
	})
}

func TestProxyWithKey(t *testing.T) {
	t.Parallel()
	s := serve(t, "--auth-key", testKey, "--trusted-proxy", "127.0.0.1")
	n := proxy(t, s, documentedProxy(t))
	token := tokenFor(t, "ada", "--accounts", "PAPER-1")
	awaitStreams(t, s, token, "account_balance:PAPER-1")

	t.Run("REST says the same as without the proxy, and 304", func(t *testing.T) {
		t.Parallel()
		if status, _ := ask(t, http.MethodGet, n.URL+"/api/status", nil); status != http.StatusUnauthorized {
			t.Errorf("without a token: got %d, want 401", status)
		}
		there, here := fetch(t, n.URL+"/api/symbols", bearer(token)), fetch(t, s.URL+"/api/symbols", bearer(token))
		if there.body != here.body || there.StatusCode != http.StatusOK {
			t.Errorf("got %d %s, want %s", there.StatusCode, there.body, here.body)
		}
		market := fetch(t, n.URL+"/api/global-market", bearer(token))
		tag := market.Header.Get("ETag")
		again := fetch(t, n.URL+"/api/global-market", bearer(token, "If-None-Match", tag))
		// Unless a market has just changed.
		if again.StatusCode != http.StatusNotModified && again.Header.Get("ETag") == tag {
			t.Errorf("got %d for %s, want 304", again.StatusCode, tag)
		}
	})

	t.Run("the WebSocket by header", func(t *testing.T) {
		t.Parallel()
		caller{url: n.URL, header: bearer(token)}.dial(t).wantOwn(t)
	})
	t.Run("the WebSocket by auth", func(t *testing.T) {
		t.Parallel()
		c := caller{url: n.URL}.dial(t)
		c.say(t, map[string]any{"type": "auth", "token": token})
		c.wantOwn(t)
	})
	t.Run("the WebSocket by ticket, once", func(t *testing.T) {
		t.Parallel()
		status, body := ask(t, http.MethodPost, n.URL+"/api/ticket", bearer(token))
		var given struct {
			Ticket string `json:"ticket"`
		}
		if err := json.Unmarshal(body, &given); err != nil || status != http.StatusOK || given.Ticket == "" {
			t.Fatalf("got %d %s, want a ticket", status, body)
		}
		path := "/ws/?ticket=" + given.Ticket
		caller{url: n.URL, path: path}.dial(t).wantOwn(t)
		caller{url: n.URL, path: path}.dial(t).wantClose(t, 4401)
	})
	t.Run("a wrong token", func(t *testing.T) {
		t.Parallel()
		c := caller{url: n.URL}.dial(t)
		c.say(t, map[string]any{"type": "auth", "token": token[:len(token)-4] + "AAAA"})
		c.wantClose(t, 4401)
	})

	_, port, _ := strings.Cut(n.addr, ":")
	for name, tt := range map[string]struct {
		host, origin string
		want         ws.StatusCode
	}{
		"a page of the proxy's own host":          {"thor.example.com", "https://thor.example.com", 0},
		"a page of the proxy's own host and port": {"thor.example.com:" + port, "http://thor.example.com:" + port, 0},
		"a page of another host":                  {"thor.example.com", "https://evil.example.com", 4403},
		"a page of another port":                  {"thor.example.com:" + port, "http://thor.example.com:1", 4403},
		"a page without an origin of its own":     {"thor.example.com", "null", 4403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := caller{url: n.URL, host: tt.host, header: bearer(token, "Origin", tt.origin)}.dial(t)
			if tt.want == 0 {
				c.wantOwn(t)
			} else {
				c.wantClose(t, tt.want)
			}
		})
	}
}

// TestProxyHoldsNothingBack compares a connection through the proxy with one
// past it. It follows a stream that says nothing, so all that comes are
// heartbeats: a proxy that buffered would hold them for minutes, and one that
// wants to hear something every seven seconds hears them.
func TestProxyHoldsNothingBack(t *testing.T) {
	t.Parallel()
	s := serve(t, "--auth-key", testKey, "--trusted-proxy", "127.0.0.1")
	timeouts := regexp.MustCompile(`_timeout 75s;`)
	config := documentedProxy(t)
	if got := len(timeouts.FindAllString(config, -1)); got != 2 {
		t.Fatalf("the documented proxy has %d timeouts of 75 s, want 2", got)
	}
	n := proxy(t, s, timeouts.ReplaceAllString(config, "_timeout 7s;"))
	token := tokenFor(t, "ada")
	var beats [2]map[string]time.Time
	clients := [2]*plainClient{caller{url: s.URL, header: bearer(token)}.dial(t), caller{url: n.URL, header: bearer(token)}.dial(t)}
	for _, c := range clients {
		c.say(t, map[string]any{"type": "subscribe", "streams": []string{"cutover"}})
	}
	for i, c := range clients {
		beats[i] = map[string]time.Time{}
		_, ok := c.until(60*time.Second, func(m message) bool {
			if m.Type == "heartbeat" {
				var beat thor.Heartbeat
				if err := json.Unmarshal(m.Data, &beat); err != nil {
					t.Error(err)
				}
				beats[i][fmt.Sprint(beat.HeartbeatCount)] = m.came
			}
			return len(beats[i]) == 4 // fifteen seconds at least
		})
		if !ok {
			t.Fatalf("connection %d got %d heartbeats, want 4", i, len(beats[i]))
		}
	}
	var compared int
	for count, direct := range beats[0] {
		through, ok := beats[1][count]
		if !ok {
			continue
		}
		compared++
		if late := through.Sub(direct); late > 2*time.Second {
			t.Errorf("heartbeat %s came %v later through the proxy", count, late)
		}
	}
	if compared < 3 {
		t.Errorf("only %d heartbeats came to both", compared)
	}
}

// TestProxyAndAddresses counts connections by the address the proxy saw, and
// not by what a client says of itself.
func TestProxyAndAddresses(t *testing.T) {
	t.Parallel()
	s := serve(t, "--auth-key", testKey, "--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "2")
	n := proxy(t, s, documentedProxy(t))
	token := tokenFor(t, "ada")
	from := func(address string, claims int) *plainClient {
		forged := fmt.Sprintf("198.51.100.%d", claims)
		return caller{url: n.URL, from: address, header: bearer(token, "X-Forwarded-For", forged, "Forwarded", "for="+forged)}.dial(t)
	}
	for i := range 2 {
		from("127.0.0.2", i).wantHello(t)
	}
	from("127.0.0.2", 2).wantClose(t, 4429)
	from("127.0.0.3", 0).wantHello(t) // another address has its own

	// Past the proxy nobody is believed.
	past := func(claims int) *plainClient {
		forged := fmt.Sprintf("198.51.100.%d", claims)
		return caller{url: s.URL, from: "127.0.0.4", header: bearer(token, "X-Forwarded-For", forged)}.dial(t)
	}
	for i := range 2 {
		past(i).wantHello(t)
	}
	past(2).wantClose(t, 4429)
}

// answer is an HTTP answer that was read.
type answer struct {
	*http.Response
	body string
}

func fetch(t *testing.T, url string, header http.Header) answer {
	t.Helper()
	response, body := send(t, http.DefaultClient, http.MethodGet, url, header)
	return answer{response, string(body)}
}

func ask(t *testing.T, method, url string, header http.Header) (status int, body []byte) {
	t.Helper()
	response, body := send(t, http.DefaultClient, method, url, header)
	return response.StatusCode, body
}

func send(t *testing.T, client *http.Client, method, url string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header.Clone()
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

// awaitStreams waits until hello names streams: then they can be followed.
func awaitStreams(t *testing.T, s *server, token string, streams ...string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); <-tick.C {
		c := caller{url: s.URL, header: bearer(token)}.dial(t)
		said, _ := c.until(20*time.Second, func(m message) bool { return m.Type == "hello" })
		c.conn.Close() //nolint:errcheck // it was only to see
		missing := slices.ContainsFunc(streams, func(id string) bool {
			return len(said) == 0 || !strings.Contains(string(said[len(said)-1].Data), `"`+id+`"`)
		})
		if !missing {
			return
		}
	}
	t.Fatalf("there are no streams %v", streams)
}

// wantHello reads up to hello.
func (c *plainClient) wantHello(t *testing.T) {
	t.Helper()
	if _, ok := c.until(20*time.Second, func(m message) bool { return m.Type == "hello" }); !ok {
		t.Fatalf("no hello; closed with %d", c.code())
	}
}

// wantOwn reads until something of an account has come.
func (c *plainClient) wantOwn(t *testing.T) {
	t.Helper()
	c.wantHello(t)
	c.say(t, map[string]any{"type": "subscribe", "streams": []string{"account_balance:PAPER-1"}})
	if _, ok := c.until(20*time.Second, func(m message) bool { return m.Stream == "account_balance:PAPER-1" }); !ok {
		t.Fatalf("no data; closed with %d", c.code())
	}
}

// wantClose reads until the server closes.
func (c *plainClient) wantClose(t *testing.T, want ws.StatusCode) {
	t.Helper()
	select {
	case got := <-c.closed:
		c.closed <- got
		if got != want {
			t.Errorf("closed with %d, want %d", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("it is not closed, want %d", want)
	}
}

// code is with what the connection was closed, if it was.
func (c *plainClient) code() ws.StatusCode {
	select {
	case code := <-c.closed:
		c.closed <- code
		return code
	default:
		return 0
	}
}
