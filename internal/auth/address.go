package auth

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"thor"
)

// Address is whom a request comes from: the peer, or, when the peer is a trusted
// proxy, the right-most entry of X-Forwarded-For that is not one itself. What
// stands further left anybody may have written. Of a peer that is not trusted
// the header is ignored. An entry that is no address ends the search: then it is
// the proxy that took it.
func (d *Door) Address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := normal(peer.Addr())
	if !d.trusts(address) {
		return address
	}
	entries := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, entry := range slices.Backward(entries) {
		hop, ok := parseHop(strings.TrimSpace(entry))
		if !ok {
			return address
		}
		if address = hop; !d.trusts(hop) {
			return address
		}
	}
	return address
}

// Secure reports whether the client's own connection is encrypted: it is ours,
// or a trusted proxy says so.
func (d *Door) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return d.Proxied(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// Proxied reports whether a request comes from a trusted proxy, whose word
// counts on whom it speaks for.
func (d *Door) Proxied(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && d.trusts(normal(peer.Addr()))
}

func (d *Door) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(d.Proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// parseHop reads an entry of X-Forwarded-For, which may have a port.
func parseHop(entry string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(entry); err == nil {
		entry = host
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
	return normal(address), err == nil
}

func normal(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// Neighbourhood names whoever counts as one address for the limits: an IPv4
// address, or the /64 an IPv6 address is from, for that is what one machine gets.
func Neighbourhood(address netip.Addr) string {
	if address = normal(address); address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().String()
	}
	return address.String()
}

// ParseProxies reads addresses and networks in CIDR notation.
func ParseProxies(names []string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for _, name := range names {
		if address, err := netip.ParseAddr(name); err == nil {
			address = normal(address)
			proxies = append(proxies, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(name)
		switch {
		case err != nil:
			return nil, thor.Errorf(thor.EINVALID, "%q is neither an address nor a network; write it like 127.0.0.1 or 10.0.0.0/8", name)
		case network.Bits() == 0:
			return nil, thor.Errorf(thor.EINVALID, "%s is everybody: anybody could claim to be anybody", name)
		case network.Addr().Is4In6():
			return nil, thor.Errorf(thor.EINVALID, "%s is IPv4 written as IPv6; write it as IPv4", name)
		}
		proxies = append(proxies, network.Masked())
	}
	return proxies, nil
}
