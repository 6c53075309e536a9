package frontdoor

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// upload is the body of a request. It notes when it does not come whole, which
// is no fault of the backend.
type upload struct {
	io.ReadCloser
	visit *visit
	begun atomic.Bool // somebody wants it
	whole atomic.Bool // all of it has come
}

func (u *upload) Read(p []byte) (int, error) {
	u.begun.Store(true)
	n, err := u.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		u.whole.Store(true)
	case err != nil:
		u.visit.torn.Store(true)
	}
	return n, err
}

// How much of an upload that the backend did not want is still taken.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 16 << 20
)

// linger takes what is left of an upload the backend has answered before its
// end, or not at all: on a connection that is closed with something unread the
// answer would be lost. And net/http must not find the end of it after the
// handler has returned: with full duplex it would read the connection twice at
// a time then, and break it.
func (u *upload) linger(w http.ResponseWriter) {
	if u.whole.Load() {
		return
	}
	control := http.NewResponseController(w)
	_ = control.Flush() // the answer does not wait for it
	_ = control.SetReadDeadline(time.Now().Add(lingerTime))
	if u.visit.r.Header.Get("Expect") != "" && !u.begun.Load() {
		return // the client waits for a word that it may send it, and will not get one
	}
	_, _ = io.CopyN(io.Discard, u.ReadCloser, lingerBytes)
}
