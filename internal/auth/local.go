package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// proxyHeaders are what reverse proxies, content networks and tunnels add, by
// their own default or by the lines everybody copies, besides Forwarded,
// X-Forwarded-* and Cf-*.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host",
	"X-Proxyuser-Ip", "X-Envoy-External-Address", "X-Amzn-Trace-Id", "True-Client-Ip", "Fastly-Client-Ip", "Fly-Client-Ip", "Cdn-Loop",
}

// isProxyHeader reports whether a reverse proxy or a tunnel adds this header. A
// request that has passed one does not come from whoever sits at this machine,
// though its peer address looks like it.
func isProxyHeader(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Cf-") || slices.Contains(proxyHeaders, name)
}

// notLocal returns why a request is not the local operator's, or "". A proxy on
// this machine that adds nothing, speaks HTTP/1.1 and sends our own address as
// the Host cannot be told from the operator; docs/operations.md says so.
func (d *Door) notLocal(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return "this request comes from " + r.RemoteAddr
	}
	if d.trusts(peer.Addr().Unmap()) {
		return "this request comes from a trusted proxy"
	}
	if !r.ProtoAtLeast(1, 1) { // what nginx speaks to a server by default up to 1.29
		return "this request is HTTP/1.0, as many proxies send it"
	}
	if !isLoopbackHost(r.Host) {
		return "this request was sent to the host " + quote(r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		if !isLoopbackOrigin(origin) {
			return "this request comes from a page of " + quote(origin)
		}
	}
	for name := range r.Header {
		if isProxyHeader(http.CanonicalHeaderKey(name)) {
			return "this request passed a proxy: it has the header " + name
		}
	}
	return ""
}

func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return `"` + s + `"`
}

// isLoopbackHost reports whether a Host header, with or without a port, names
// this machine.
func isLoopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && isLoopbackHost(u.Host)
}
