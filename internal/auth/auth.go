// Package auth says who is asking and what they may see and do: the local
// operator, or the bearer of a token. It also says which web pages may talk to
// the server.
//
// It does not know streams or features; whoever hands out data asks the
// [Principal].
package auth

import (
	"slices"
	"time"
)

// Role is a set of things a principal may do.
type Role string

// The roles.
const (
	Viewer    Role = "viewer"    // sees public data and its own accounts, as everybody with a token does
	Operator  Role = "operator"  // moves stages as well
	Publisher Role = "publisher" // hands in messages as well
)

// Roles lists every role.
func Roles() []Role { return []Role{Viewer, Operator, Publisher} }

// Principal is somebody who asks. The zero value may see public data only.
type Principal struct {
	Subject  string
	Local    bool // the local operator: sees everything, may do everything
	Accounts []string
	Features []string // what a publisher publishes
	Roles    []Role
	Expires  time.Time // zero is never
	// Grant is set where a backend says which accounts the principal may see;
	// then Accounts are what it said last.
	Grant *Grant
}

// LocalOperator is whoever sits at this machine while no key is configured.
func LocalOperator() Principal { return Principal{Subject: "local operator", Local: true} }

// Identity is who the principal is over several connections; "" when that is
// not known, as for the local operator, who may have many browsers.
func (p Principal) Identity() string {
	if p.Local {
		return ""
	}
	return p.Subject
}

// MaySee reports whether the principal may see this account.
func (p Principal) MaySee(account string) bool {
	return p.Local || slices.Contains(p.Accounts, account)
}

// May reports whether the principal has the role.
func (p Principal) May(role Role) bool { return p.Local || slices.Contains(p.Roles, role) }

// MayPublish reports whether the principal may publish this feature.
func (p Principal) MayPublish(feature string) bool {
	return p.May(Publisher) && (p.Local || slices.Contains(p.Features, feature))
}
