package diagnostic

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/check"
)

// inOrder are the places of the checks in the order in which they are made.
func inOrder(checks []check.Check) []int {
	order := make([]int, len(checks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(checks[a].Rank(), checks[b].Rank())
	})
	return order
}

// blame names the check whose failure makes this one moot, or is empty.
func (r *round) blame(c check.Check) string {
	for _, kind := range c.Needs() {
		if cause := r.blameKind(kind, c); cause != "" {
			return cause
		}
	}
	return ""
}

// blameKind blames the checks of one kind when all that concern c have failed:
// a device with two links needs one. For a link's address only that link
// counts, and for a name that was looked up only that lookup.
func (r *round) blameKind(kind string, c check.Check) string {
	var all, own []check.Result
	for i, other := range r.checks {
		if other.Kind != kind {
			continue
		}
		all = append(all, r.results[i])
		if (kind == "dns" || c.Kind == "address") && strings.EqualFold(other.Subject(), c.Host()) {
			own = append(own, r.results[i])
		}
	}
	if len(own) > 0 || c.Kind == "address" {
		all = own
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(o check.Result) bool { return o.Cause == "" }) {
		return ""
	}
	return all[0].Cause
}
