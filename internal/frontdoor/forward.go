package frontdoor

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"thor"
)

// rewrite sends a request to the backend. To one on this machine the Host stays
// the one the browser asked for: a backend makes links, checks forms and refuses
// strangers by it. One elsewhere is found by its own name alone, and has the
// browser's in X-Forwarded-Host.
func (d *Door) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = d.Backend.Scheme, d.Backend.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, however odd: the backend parses it, not this door
	r.Out.Host = r.In.Host
	if d.Backend.Scheme == "https" {
		r.Out.Host = d.Backend.Host
	}
	trusted := d.Trusted != nil && d.Trusted(r.In)
	if trusted {
		for _, name := range []string{"Forwarded", "X-Forwarded-For"} {
			if said := r.In.Header.Values(name); len(said) > 0 {
				r.Out.Header[name] = said
			}
		}
	}
	r.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
		if said := r.In.Header.Get(name); trusted && said != "" {
			r.Out.Header.Set(name, said)
		}
	}
	r.Out.Header.Add(passedHeader, d.id)
	d.dropCookie(r.Out.Header)
}

// dropCookie takes this server's own cookie out, and leaves the others as they
// were written.
func (d *Door) dropCookie(header http.Header) {
	lines := header["Cookie"]
	if d.Cookie == "" || len(lines) == 0 {
		return
	}
	var kept []string
	for _, line := range lines {
		if !strings.Contains(line, d.Cookie) {
			kept = append(kept, line)
			continue
		}
		var cookies []string
		for cookie := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(cookie, "=")
			if strings.TrimSpace(name) != d.Cookie {
				cookies = append(cookies, cookie)
			}
		}
		if len(cookies) > 0 {
			kept = append(kept, strings.TrimLeft(strings.Join(cookies, ";"), " "))
		}
	}
	header["Cookie"] = kept
	if len(kept) == 0 {
		delete(header, "Cookie")
	}
}

// answered adds to an answer what its features are to carry. One that was on its
// way when its feature became complete is not called back.
func (d *Door) answered(answer *http.Response) error {
	v := visitOf(answer.Request)
	v.answered = true
	d.ended(Answered)
	if d.away.CompareAndSwap(true, false) {
		d.Logger.Info("the backend answers again", slog.String("backend", d.Backend.Host))
	}
	_ = d.stage(v, answer.Header)
	return nil
}

// failed answers when the backend does not. Paths and what the backend said stay
// out of the log: account numbers are in them.
func (d *Door) failed(w http.ResponseWriter, r *http.Request, err error) {
	v := visitOf(r)
	if r.Context().Err() != nil || v.torn.Load() { // whoever asked has gone, or the door closes
		if !v.answered {
			d.ended(Left)
		}
		panic(http.ErrAbortHandler)
	}
	why := reason(err)
	if v.answered { // with a protocol nobody has asked for, or the client has gone
		why = "it switched to a protocol it was not asked for"
	} else {
		d.ended(Failed)
		if d.away.CompareAndSwap(false, true) {
			d.Logger.Warn("the backend does not answer", slog.String("backend", d.Backend.Host), slog.String("reason", why))
		}
	}
	_ = d.stage(v, w.Header()) // the backend being away is the news
	d.Problem(w, thor.Errorf(thor.EUPSTREAM, "the backend at %s did not answer: %s", d.Backend.Host, why).
		WithHint("What this server serves itself, the WebSocket too, goes on with the last values."))
}

// visitOf is the visit a request to the backend belongs to.
func visitOf(r *http.Request) *visit {
	v, ok := r.Context().Value(visitKey{}).(*visit)
	if !ok {
		panic("frontdoor: a request without a visit") // ServeHTTP puts it there
	}
	return v
}

// reason says in a word what went wrong on the way to the backend.
func reason(err error) string {
	var (
		timeout     net.Error
		op          *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &certificate):
		return "its certificate is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it took too long"
	case errors.As(err, &op) && op.Op == "dial":
		return "it cannot be reached"
	}
	return "it ended the connection in the middle"
}
