package legacy

import (
	"slices"
	"strings"

	"thor"
)

// Bug is a fault of the original.
type Bug string

// The faults.
const (
	BugNaiveTimes   Bug = "naive-times"
	BugExpiredToken Bug = "expired-token"
	BugEmptyCache   Bug = "empty-cache"
	BugGhostRows    Bug = "ghost-rows"
	BugFloats       Bug = "floats"
	BugDefault      Bug = "default-account"
	BugHours        Bug = "naive-hours"
	BugSlashes      Bug = "slashes"
	BugNoETag       Bug = "no-etag"
)

// BugInfo is a fault with what it does.
type BugInfo struct {
	Name Bug
	Help string
}

// Bugs lists the faults.
var Bugs = []BugInfo{
	{BugNaiveTimes, "The time of a balance that does not come from the broker has no offset."},
	{BugExpiredToken, "In the last minute of every half hour the broker's token has expired: all money of a broker's account is 0.00."},
	{BugEmptyCache, "The cached balance of a broker's account has neither cash nor equity: both are 0.0 (not in era D)."},
	{BugGhostRows, "A position that was closed stays in the list, with the price of its last day (not in era D)."},
	{BugFloats, "Money is a float in the balance, and a string everywhere else."},
	{BugDefault, "An account that does not exist is answered with the first one (era D)."},
	{BugHours, "Markets know no holidays, no breaks and no early closes; futures never open."},
	{BugSlashes, "Some paths need a slash at the end and redirect without it, others are not found with it."},
	{BugNoETag, "No answer has an ETag."},
}

// AllBugs are the faults of the original.
func AllBugs() map[Bug]bool {
	all := map[Bug]bool{}
	for _, b := range Bugs {
		all[b.Name] = true
	}
	return all
}

// ParseBugs reads a choice of faults: "all", "none", or names; a name with a
// minus takes one away. A choice that begins with a minus begins with all.
func ParseBugs(words []string) (map[Bug]bool, error) {
	chosen := map[Bug]bool{}
	for i, word := range words {
		name, without := strings.CutPrefix(strings.TrimSpace(word), "-")
		switch {
		case name == "all" && !without:
			chosen = AllBugs()
			continue
		case name == "none" && !without:
			chosen = map[Bug]bool{}
			continue
		case !slices.ContainsFunc(Bugs, func(b BugInfo) bool { return string(b.Name) == name }):
			var names []string
			for _, b := range Bugs {
				names = append(names, string(b.Name))
			}
			return nil, thor.Errorf(thor.EINVALID, "%q is not a bug; there are all, none, %s", name, strings.Join(names, ", "))
		}
		if i == 0 && without {
			chosen = AllBugs()
		}
		chosen[Bug(name)] = !without
	}
	return chosen, nil
}
