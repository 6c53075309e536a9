package auth_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"thor/internal/auth"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, peer string
		proxies    string
		forwarded  []string
		want       string
	}{
		{"the peer", "192.0.2.7:5000", "", nil, "192.0.2.7"},
		{"a peer of IPv4 written as IPv6", "[::ffff:192.0.2.7]:5000", "", nil, "192.0.2.7"},
		{"a peer with a zone", "[fe80::1%eth0]:5000", "", nil, "fe80::1"},
		{"nobody is trusted: the header is anybody's", "192.0.2.7:5000", "", []string{"198.51.100.1"}, "192.0.2.7"},
		{"a peer that is not the proxy", "192.0.2.7:5000", "127.0.0.1", []string{"198.51.100.1"}, "192.0.2.7"},
		{"through a proxy", "127.0.0.1:5000", "127.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"with what the client made up in front", "127.0.0.1:5000", "127.0.0.1", []string{"10.0.0.1, 127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"with what the client made up in a header of its own", "127.0.0.1:5000", "127.0.0.1", []string{"10.0.0.1", "198.51.100.1"}, "198.51.100.1"},
		{"through two proxies", "127.0.0.1:5000", "127.0.0.1,10.0.0.0/8", []string{"203.0.113.9, 198.51.100.1, 10.1.2.3"}, "198.51.100.1"},
		{"with a port", "127.0.0.1:5000", "127.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6 with a port", "[::1]:5000", "::1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6", "[::1]:5000", "::1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"what is no address ends the search", "127.0.0.1:5000", "127.0.0.1", []string{"198.51.100.1, unknown"}, "127.0.0.1"},
		{"what is no address behind a proxy of ours", "127.0.0.1:5000", "127.0.0.1,10.0.0.0/8", []string{"nonsense, 10.1.2.3"}, "10.1.2.3"},
		{"a proxy that says nothing", "127.0.0.1:5000", "127.0.0.1", nil, "127.0.0.1"},
		{"a proxy that asks itself", "127.0.0.1:5000", "127.0.0.0/8", []string{"127.0.0.2"}, "127.0.0.2"},
		{"a peer that cannot be read", "@", "", nil, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			door := &auth.Door{}
			if tt.proxies != "" {
				var err error
				if door.Proxies, err = auth.ParseProxies(strings.Split(tt.proxies, ",")); err != nil {
					t.Fatal(err)
				}
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			for _, value := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", value)
			}
			if got := door.Address(r).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestNeighbourhood(t *testing.T) {
	t.Parallel()
	of := func(peer string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		return auth.Neighbourhood((&auth.Door{}).Address(r))
	}
	if a, b := of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:2:ffff::9]:2"); a != b {
		t.Errorf("one /64 counts as %s and %s", a, b)
	}
	if a, b := of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:3::1]:1"); a == b {
		t.Errorf("two /64 count as %s", a)
	}
	if a, b := of("192.0.2.1:1"), of("192.0.2.2:1"); a == b {
		t.Errorf("two addresses count as %s", a)
	}
	if a, b := of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:1"); a != b {
		t.Errorf("one address counts as %s and %s", a, b)
	}
}

func TestParseProxies(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"localhost": "neither an address nor a network", "10.0.0.0/33": "neither", "": "neither",
		"0.0.0.0/0": "is everybody", "::/0": "is everybody", "::ffff:10.0.0.0/104": "write it as IPv4",
	} {
		if got, err := auth.ParseProxies([]string{"127.0.0.1", name}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want %q", name, got, err, says)
		}
	}
	if got, err := auth.ParseProxies([]string{"127.0.0.1", "10.1.2.3/8", "::1"}); err != nil || len(got) != 3 || got[1].String() != "10.0.0.0/8" {
		t.Errorf("got %v, %v", got, err)
	}
}
