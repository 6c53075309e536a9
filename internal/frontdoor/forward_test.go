package frontdoor_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/frontdoor"
)

// TestWhatTheBackendHears holds which of a request's headers go on.
func TestWhatTheBackendHears(t *testing.T) {
	t.Parallel()
	var behind string // a proxy that is trusted
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{
			"Cookie", "Authorization", "Connection", "Keep-Alive", "Proxy-Authorization", "X-Hop", "Forwarded",
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Range", "Accept-Encoding", "User-Agent",
		} {
			if values, ok := r.Header[name]; ok {
				fmt.Fprintf(w, "%s: %s\n", name, strings.Join(values, " | "))
			}
		}
		fmt.Fprintf(w, "Host: %s\n", r.Host)
	}), func(c *frontdoor.Config) {
		c.Trusted = func(r *http.Request) bool { return r.Header.Get("X-Test") == behind && behind != "" }
	})
	host := strings.TrimPrefix(f.URL, "http://")
	forwarded := "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: " + host + "\nX-Forwarded-Proto: http\n"
	for _, tt := range []struct {
		name   string
		header []string
		want   string
	}{
		{
			"this server's cookie is nothing to it, the others stay as they are",
			[]string{"Cookie", "a=1;  thor_client=x.y; b=\"2;thor\" ; thor_clients=z", "User-Agent", ""},
			"Cookie: a=1; b=\"2;thor\" ; thor_clients=z\n" + forwarded,
		},
		{"no cookie is left", []string{"Cookie", "thor_client=x.y", "User-Agent", ""}, forwarded},
		{
			"what is for the connection ends here, what is the caller's goes on",
			[]string{
				"Authorization", "Bearer theirs", "Connection", "keep-alive, X-Hop", "X-Hop", "1", "Keep-Alive", "timeout=5", "Proxy-Authorization", "Basic x",
				"Range", "bytes=0-3", "Accept-Encoding", "br", "User-Agent", "desk/1",
			},
			"Authorization: Bearer theirs\n" + forwarded + "Range: bytes=0-3\nAccept-Encoding: br\nUser-Agent: desk/1\n",
		},
		{
			"nobody may say whom he speaks for",
			[]string{"Forwarded", "for=6.6.6.6", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "User-Agent", ""},
			forwarded,
		},
		{
			"but a trusted proxy",
			[]string{
				"X-Test", "proxy", "Forwarded", "for=192.0.2.1", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Host", "desk.example.com",
				"X-Forwarded-Proto", "https", "User-Agent", "",
			},
			"Forwarded: for=192.0.2.1\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\nX-Forwarded-Host: desk.example.com\nX-Forwarded-Proto: https\n",
		},
	} {
		behind = "proxy"
		_, got := f.do(t, http.MethodGet, "/", nil, tt.header...)
		if want := tt.want + "Host: " + host + "\n"; got != want {
			t.Errorf("%s (-want +got):\n%s", tt.name, cmp.Diff(want, got))
		}
	}
}

// TestABackendElsewhere holds that one beyond this machine is asked by its own
// name.
func TestABackendElsewhere(t *testing.T) {
	t.Parallel()
	behind := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.Header.Get("X-Forwarded-Host"), " ", r.URL.Path)
	}))
	behind.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	behind.StartTLS()
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	f := before(t, target)
	host := strings.TrimPrefix(f.URL, "http://")
	if answer, body := f.do(t, http.MethodGet, "/base/x", nil); answer.StatusCode != http.StatusBadGateway || !strings.Contains(body, "its certificate is not trusted") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	roots := x509.NewCertPool()
	roots.AddCert(behind.Certificate())
	f.door.Trust(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if _, body := f.do(t, http.MethodGet, "/base/x", nil); body != target.Host+" "+host+" /base/x" {
		t.Errorf("it heard %s", body)
	}
}

// TestAnswersStayAsTheyAre holds what is easily lost on the way.
func TestAnswersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 1000)
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/untyped":
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "<html>")
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "body")
			w.Header().Set("X-Sum", "7")
		default:
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Server", "theirs")
			http.ServeContent(w, r, "x.bin", time.Unix(1_700_000_000, 0), strings.NewReader(content))
		}
	}))
	answer, body := f.do(t, http.MethodGet, "/file", nil)
	if answer.StatusCode != 200 || body != content || answer.ContentLength != int64(len(content)) || answer.Header.Get("Server") != "theirs" {
		t.Errorf("%d %v, %d bytes", answer.StatusCode, answer.Header, len(body))
	}
	if answer, body := f.do(t, http.MethodHead, "/file", nil); answer.StatusCode != 200 || body != "" || answer.ContentLength != int64(len(content)) {
		t.Errorf("HEAD: %d %v %q", answer.StatusCode, answer.Header, body)
	}
	if answer, body := f.do(t, http.MethodGet, "/file", nil, "Range", "bytes=3-5"); answer.StatusCode != 206 || body != "345" ||
		answer.Header.Get("Content-Range") != "bytes 3-5/10000" {
		t.Errorf("Range: %d %v %q", answer.StatusCode, answer.Header, body)
	}
	if answer, body := f.do(t, http.MethodGet, "/file", nil, "If-None-Match", `"1"`); answer.StatusCode != 304 || body != "" || answer.Header.Get("ETag") != `"1"` {
		t.Errorf("304: %d %v %q", answer.StatusCode, answer.Header, body)
	}
	if answer, body := f.do(t, http.MethodGet, "/untyped", nil); body != "<html>" || len(answer.Header["Content-Type"]) != 0 {
		t.Errorf("a type was made up: %v %q", answer.Header, body)
	}
	if answer, body := f.do(t, http.MethodGet, "/trailer", nil); body != "body" || answer.Trailer.Get("X-Sum") != "7" {
		t.Errorf("trailer %v %q", answer.Trailer, body)
	}
}

// TestABigUpload is larger than anything this server takes itself.
func TestABigUpload(t *testing.T) {
	t.Parallel()
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", r.ContentLength, " ", err)
	}))
	const size = 20 << 20
	_, body := f.do(t, http.MethodPut, "/upload", io.LimitReader(zeros{}, size))
	if want := fmt.Sprint(size, " -1 <nil>"); body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

// refusing is a backend that answers before it has read what is sent, as some do
// to uploads, and then takes the rest.
func refusing(t *testing.T) *url.URL {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close() //nolint:errcheck // it is over
				r := bufio.NewReader(conn)
				for line := ""; line != "\r\n"; {
					if line, err = r.ReadString('\n'); err != nil {
						return
					}
				}
				fmt.Fprint(conn, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
				_, _ = io.Copy(io.Discard, r)
			})
		}
	})
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // it is over
		group.Wait()
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// TestAnUploadNobodyWants holds that the answer arrives though it comes before
// the upload has ended, also when the client asks first, and that nobody waits
// for a rest that does not come.
func TestAnUploadNobodyWants(t *testing.T) {
	t.Parallel()
	f := before(t, refusing(t))
	for i := range 60 {
		size := []int{3, 100 << 10, 300 << 10, 400 << 10, 2 << 20}[i%5]
		head, tail := fmt.Sprintf("Content-Length: %d\r\n\r\n", size), ""
		if i%2 == 0 {
			head, tail = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size), "\r\n0\r\n\r\n"
		}
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		var sent sync.WaitGroup
		sent.Go(func() { // the library's client may give up when it is answered so early
			fmt.Fprint(conn, "POST /upload HTTP/1.1\r\nHost: x\r\n"+head)
			_, _ = conn.Write(make([]byte, size))
			fmt.Fprint(conn, tail)
		})
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("of %d bytes: %v", size, err)
		}
		said, err := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusRequestEntityTooLarge || string(said) != "too large" || err != nil {
			t.Fatalf("of %d bytes: %d %q, %v", size, answer.StatusCode, said, err)
		}
		sent.Wait()
		conn.Close() //nolint:errcheck // it is over
	}
	for _, begun := range []string{"Expect: 100-continue\r\n\r\n", "\r\nhalf"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // it is over
		fmt.Fprint(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"+begun)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatalf("%q: %v, %v", begun, answer, err)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Errorf("%q: the server waits for the rest: %v", begun, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestACircle holds that a door that leads to itself opens once.
func TestACircle(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := before(t, &url.URL{Scheme: "http", Host: l.Addr().String()})
	self := &url.URL{Scheme: "http", Host: strings.TrimPrefix(other.URL, "http://")}
	f := before(t, self) // leads to the other, which leads back
	back := &httptest.Server{Listener: l, Config: &http.Server{Handler: f.door}}
	back.Start()
	t.Cleanup(back.Close)
	answer, body := f.do(t, http.MethodGet, "/", nil)
	if answer.StatusCode != http.StatusBadGateway || !strings.Contains(body, "leads back to this server. --upstream must be") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

func TestWhoMayPass(t *testing.T) {
	t.Parallel()
	f := setup(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it passed") }), func(c *frontdoor.Config) {
		c.Refuse = func(r *http.Request) error {
			if r.URL.Path == "/no" {
				return thor.Errorf(thor.EFORBIDDEN, "not you")
			}
			return nil
		}
	})
	if answer, body := f.do(t, http.MethodGet, "/no", nil); answer.StatusCode != http.StatusForbidden || body != "not you" {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if answer, _ := f.do(t, http.MethodGet, "/", nil, "Connection", "Upgrade", "Upgrade", "websöcket"); answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a protocol without a name: %d", answer.StatusCode)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it is over
	fmt.Fprint(conn, "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 405" {
		t.Errorf("CONNECT: %s, %v", answer, err)
	}
	if diff := cmp.Diff([]frontdoor.Outcome{frontdoor.Refused, frontdoor.Refused, frontdoor.Refused}, f.outcomes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestABackendThatIsAway holds that it is said to who asks, with the feature's
// stage.
func TestABackendThatIsAway(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil { // now nobody listens there
		t.Fatal(err)
	}
	f := before(t, &url.URL{Scheme: "http", Host: at})
	answer, body := f.do(t, http.MethodGet, "/api/accounts/balance/", nil)
	if answer.StatusCode != http.StatusBadGateway || answer.Header.Get("Content-Type") != "application/problem+json" ||
		!strings.Contains(body, "the backend at "+at+" did not answer: it cannot be reached. What this server serves itself, the WebSocket too, goes on") {
		t.Errorf("%d %v %s", answer.StatusCode, answer.Header, body)
	}
	if answer.Header.Get("Cutover") != "stage=shadow, of=account_balance" {
		t.Errorf("who only polls does not learn where the feature stands: %v", answer.Header)
	}
	for range 50 { // what was sent and nobody has read does not hide the answer
		if answer, body := f.do(t, http.MethodPost, "/other", strings.NewReader("said")); answer.StatusCode != http.StatusBadGateway || body == "" {
			t.Errorf("%d %v %s", answer.StatusCode, answer.Header, body)
		}
	}
	if answer, _ := f.do(t, http.MethodGet, "/other", nil); answer.StatusCode != http.StatusBadGateway || answer.Header.Get("Cutover") != "" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
}

// TestABackendThatBreaksOff holds that half an answer is none, and that the log
// says it once, and once that it is over, without the account.
func TestABackendThatBreaksOff(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil || sick.Load() {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "here")
	}))
	ask := func(status int, says string) {
		t.Helper()
		answer, body := f.do(t, http.MethodPost, "/api/accounts/12345678?account_id=12345678", strings.NewReader("x"))
		if answer.StatusCode != status || !strings.Contains(body, says) {
			t.Errorf("%d %s", answer.StatusCode, body)
		}
	}
	ask(http.StatusOK, "here")
	for range 2 {
		sick.Store(true)
		ask(http.StatusBadGateway, "it ended the connection in the middle")
		ask(http.StatusBadGateway, "it ended the connection in the middle")
		sick.Store(false)
		ask(http.StatusOK, "here")
		ask(http.StatusOK, "here")
	}
	log := f.said()
	if strings.Count(log, "the backend does not answer") != 2 || strings.Count(log, "the backend answers again") != 2 || strings.Contains(log, "12345678") {
		t.Errorf("log:\n%s", log)
	}
	const good, bad = frontdoor.Answered, frontdoor.Failed
	if diff := cmp.Diff([]frontdoor.Outcome{good, bad, bad, good, good, bad, bad, good, good}, f.outcomes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAnUploadThatBreaksOff holds that it is no fault of the backend.
func TestAnUploadThatBreaksOff(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	f := setup(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 4))
		begun <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body) // it breaks off here too
	}))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	<-begun
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	garbled, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer garbled.Close() //nolint:errcheck // it is over
	fmt.Fprint(garbled, "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n")
	if said, err := io.ReadAll(garbled); err != nil || len(said) != 0 {
		t.Errorf("half an upload is answered: %s, %v", said, err)
	}
	for len(f.outcomes()) < 2 {
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
	}
	if diff := cmp.Diff([]frontdoor.Outcome{frontdoor.Left, frontdoor.Left}, f.outcomes()); diff != "" || f.said() != "" {
		t.Errorf("-want +got:\n%s\nlog %s", diff, f.said())
	}
}
