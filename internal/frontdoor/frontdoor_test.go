package frontdoor_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/frontdoor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverTime is how long the server before the door lets a request take.
const serverTime = time.Second

// front is a door before a backend, both on real sockets.
type front struct {
	URL    string
	door   *frontdoor.Door
	client *http.Client

	mu     sync.Mutex // guards what follows
	gone   map[string]bool
	served []string
	ended  []frontdoor.Outcome
	log    bytes.Buffer
}

// Write is where the door logs to.
func (f *front) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(p)
}

func (f *front) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

func (f *front) outcomes() []frontdoor.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ended)
}

func setup(t *testing.T, backend http.Handler, change ...func(*frontdoor.Config)) *front {
	t.Helper()
	behind := httptest.NewServer(backend)
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	return before(t, target, change...)
}

func before(t *testing.T, backend *url.URL, change ...func(*frontdoor.Config)) *front {
	t.Helper()
	f := &front{gone: map[string]bool{}}
	c := frontdoor.Config{
		Backend: backend,
		Paths: []frontdoor.Path{
			{Feature: "account_balance", Template: "/api/accounts/balance/?account_id={account}"},
			{Feature: "positions", Template: "/api/{book}/positions?{key}={account}"},
			{Feature: "account_balance", Template: "/api/all"},
			{Feature: "positions", Template: "/api/all/"},
			{Feature: "intraday", Template: "/api/data?kind=bars&symbol={symbol}"},
		},
		Stage: func(_ *http.Request, feature string, header http.Header) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			header.Set("Cutover", "stage=shadow, of="+feature)
			if f.gone[feature] {
				return thor.Errorf(thor.EGONE, "%s is complete", feature)
			}
			return nil
		},
		Served: func(r *http.Request, feature string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.served = append(f.served, feature+" "+r.Method+" "+r.URL.Path+" "+r.UserAgent())
		},
		Problem: func(w http.ResponseWriter, err error) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(map[thor.Code]int{
				thor.EGONE: http.StatusGone, thor.EUPSTREAM: http.StatusBadGateway, thor.EFORBIDDEN: http.StatusForbidden,
				thor.EMETHOD: http.StatusMethodNotAllowed, thor.EINVALID: http.StatusUnprocessableEntity, thor.EUNAVAILABLE: http.StatusServiceUnavailable,
			}[thor.ErrorCode(err)])
			fmt.Fprint(w, err)
		},
		Ended: func(o frontdoor.Outcome) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ended = append(f.ended, o)
		},
		Cookie: "thor_client",
		Logger: slog.New(slog.NewTextHandler(f, nil)),
	}
	for _, change := range change {
		change(&c)
	}
	f.door = frontdoor.New(c)
	// The times of the server before it are those of short requests. A client may
	// pause between two of them, and a slow machine before the first.
	server := httptest.NewUnstartedServer(f.door)
	server.Config.ReadTimeout, server.Config.WriteTimeout = serverTime, serverTime
	server.Config.ReadHeaderTimeout, server.Config.IdleTimeout = time.Minute, time.Minute
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.Start()
	f.URL = server.URL
	f.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		f.door.Close()
		server.Close()
	})
	return f
}

func (f *front) do(t *testing.T, method, path string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	answer, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is read
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(content)
}

func TestWhatPasses(t *testing.T) {
	t.Parallel()
	t.Run("a request arrives as it was, and the backend knows who asked for what", func(t *testing.T) {
		t.Parallel()
		f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s|%s|%s|%s|%s|%s|%v", r.Method, r.RequestURI, r.Host, r.Header.Get("Authorization"),
				r.Header.Get("Cookie"), r.Header.Get("X-Forwarded-For"), body, err)
		}))
		_, got := f.do(t, "PATCH", "/a%2Fb/c/?q=1;2&q=%20", strings.NewReader("said"),
			"Authorization", "Bearer t", "Cookie", "sessionid=s; csrftoken=c", "X-Forwarded-For", "192.0.2.1")
		host := strings.TrimPrefix(f.URL, "http://")
		if want := "PATCH /a%2Fb/c/?q=1;2&q=%20|" + host + "|Bearer t|sessionid=s; csrftoken=c|127.0.0.1|said|<nil>"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("an answer comes back as it was", func(t *testing.T) {
		t.Parallel()
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		fmt.Fprint(z, "hello")
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Add("Set-Cookie", "a=1; HttpOnly")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("Location", "/elsewhere/")
			w.WriteHeader(http.StatusFound)
			_, _ = w.Write(zipped.Bytes())
		}))
		answer, body := f.do(t, "GET", "/", nil, "Accept-Encoding", "gzip")
		if answer.StatusCode != 302 || body != zipped.String() || answer.Header.Get("Location") != "/elsewhere/" || answer.Header.Get("Cutover") != "" {
			t.Errorf("%d %v %q", answer.StatusCode, answer.Header, body)
		}
		if diff := cmp.Diff([]string{"a=1; HttpOnly", "b=2"}, answer.Header.Values("Set-Cookie")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("an upload and a stream take longer than the server gives a request", func(t *testing.T) {
		t.Parallel()
		heard := make(chan string)
		f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			if err := control.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() { // each line comes back before the next one is sent
				fmt.Fprintf(w, "heard %s\n", lines.Text())
				if err := control.Flush(); err != nil {
					t.Error(err)
				}
			}
		}))
		upload, feed := io.Pipe()
		go func() {
			defer feed.Close() //nolint:errcheck // of a pipe it is nil
			for i := range 4 {
				timer := time.NewTimer(serverTime / 2) // in all longer than the server gives a request
				<-timer.C
				fmt.Fprintf(feed, "%d\n", i)
				if got := <-heard; got != fmt.Sprintf("heard %d", i) {
					t.Errorf("got %q", got)
				}
			}
		}()
		r, err := http.NewRequestWithContext(t.Context(), "POST", f.URL+"/upload", upload)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // it is read
		n := 0
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); n++ {
			heard <- lines.Text()
		}
		if n != 4 {
			t.Errorf("%d lines came back", n)
		}
	})
	t.Run("the backend's own WebSockets", func(t *testing.T) {
		t.Parallel()
		f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close() //nolint:errcheck // it is over
			for {
				message, op, err := wsutil.ReadClientData(conn)
				if err != nil {
					return
				}
				if err := wsutil.WriteServerMessage(conn, op, append([]byte("echo "), message...)); err != nil {
					return
				}
			}
		}))
		conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(f.URL, "http")+"/ws/chat/?room=1")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // it is over
		for i := range 3 {
			timer := time.NewTimer(serverTime / 2)
			<-timer.C
			if err := wsutil.WriteClientText(conn, fmt.Appendf(nil, "%d", i)); err != nil {
				t.Fatal(err)
			}
			got, err := wsutil.ReadServerText(conn)
			if err != nil || string(got) != fmt.Sprintf("echo %d", i) {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
	t.Run("an answer that breaks off breaks off for the client too", func(t *testing.T) {
		t.Parallel()
		f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		}))
		r, err := http.NewRequestWithContext(t.Context(), "GET", f.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // it is read
		if body, err := io.ReadAll(answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestAClientThatLeavesIsNoFaultOfTheBackend(t *testing.T) {
	t.Parallel()
	asked, left := make(chan struct{}), make(chan struct{})
	f := setup(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // the backend learns of it
		close(left)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", f.URL+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-asked
		cancel()
	}()
	if answer, err := f.client.Do(r); err == nil {
		answer.Body.Close() //nolint:errcheck // it should not be
		t.Errorf("got %d", answer.StatusCode)
	}
	<-left
	f.door.Close()
	if diff := cmp.Diff([]frontdoor.Outcome{frontdoor.Left}, f.outcomes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
