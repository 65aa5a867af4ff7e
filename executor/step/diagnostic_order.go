package step

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// inOrder are the places of the checks in the order in which they are made.
func inOrder(checks []Check) []int {
	order := make([]int, len(checks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(checkKinds[checks[a].Kind].rank, checkKinds[checks[b].Kind].rank)
	})
	return order
}

// needs are the kinds of checks that must hold for this one, nearest first.
func (c Check) needs() []string {
	all := []string{"dns", "gateway", "address", "link"}
	switch c.Kind {
	case "address":
		return all[3:]
	case "gateway":
		return all[2:]
	case "dns":
		return all[1:]
	case "broker":
		return all
	case "ping", "tcp", "http":
		if _, err := netip.ParseAddr(c.host()); err != nil && c.host() != "localhost" {
			return all
		}
	}
	return nil // an address may be on this device or next to it
}

// blame names the check whose failure makes this one moot, or is empty.
func (r *round) blame(c Check) string {
	for _, kind := range c.needs() {
		if cause := r.blameKind(kind, c); cause != "" {
			return cause
		}
	}
	return ""
}

// blameKind blames the checks of one kind when all that concern c have failed:
// a device with two links needs one. For a link's address only that link
// counts, and for a name that was looked up only that lookup.
func (r *round) blameKind(kind string, c Check) string {
	var all, own []Result
	for i, other := range r.checks {
		if other.Kind != kind {
			continue
		}
		all = append(all, r.results[i])
		if (kind == "dns" || c.Kind == "address") && strings.EqualFold(other.text, c.host()) {
			own = append(own, r.results[i])
		}
	}
	if len(own) > 0 || c.Kind == "address" {
		all = own
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(o Result) bool { return o.cause == "" }) {
		return ""
	}
	return all[0].cause
}
