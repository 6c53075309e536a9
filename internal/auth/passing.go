package auth

import (
	"net/http"

	"thor"
)

// Passing returns who sent a request that is for somebody else, a backend behind
// this server say; false when that is not known. A token this server does not
// know may be the backend's: it is no fault and counts against nobody.
func (d *Door) Passing(r *http.Request) (Principal, bool) {
	if !d.TakesTokens() {
		return LocalOperator(), d.notLocal(r) == ""
	}
	token, ok := bearer(r)
	if !ok {
		return Principal{}, false
	}
	p, err := d.Token(token)
	return p, err == nil
}

// RefusePassing returns why a request may not even pass to somebody else. While
// there is no key, only this machine is served: a page of another site reaches
// it by a name of its own that leads here, and is kept from what lies behind.
func (d *Door) RefusePassing(r *http.Request) error {
	if d.TakesTokens() || isLoopbackHost(r.Host) {
		return nil
	}
	return thor.Errorf(thor.EFORBIDDEN, "no key is configured, so only this machine is served, and this request was sent to the host %s", quote(r.Host)).
		WithHint("Set a key with --auth-key or THOR_AUTH_KEY.")
}
