package packages

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What a manager that only tries says of a removal: apt-get's "Remv web [1.0]" and
// apk's "(1/2) Purging web (1.0-r1)".
var removal = regexp.MustCompile(`^(?:Remv|Purg|\(\d+/\d+\) Purging) (\S+)`)

// spares is an error where a command line would remove packages that the step does
// not name, and may not. One that cannot be tried is: the result is read back.
func (p *packing) spares(ctx context.Context, argv, named []string) error {
	if p.with.AllowRemove || p.try == "" {
		return nil
	}
	said, err := p.ask(ctx, p.manager.with(argv, p.try))
	if err != nil {
		return nil // it fails again when it is done, which tells why
	}
	var others []string
	for line := range strings.Lines(said) {
		if m := removal.FindStringSubmatch(line); m != nil && !slices.Contains(named, p.key(m[1])) {
			others = append(others, p.key(m[1]))
		}
	}
	if p.name == "apk" && slices.Contains(argv, "del") {
		return nil // what nobody wants any more goes too, and what is wanted stays
	}
	return refusal("would remove", others)
}

func refusal(verb string, others []string) error {
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	return fmt.Errorf("it %s %s, which the step does not name: allowRemove: true lets it", verb, strings.Join(others, ", "))
}

// sparedOthers is an error where packages are gone that the step does not name.
func (p *packing) sparedOthers(before, now installed) error {
	if p.with.AllowRemove {
		return nil
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		unwanted := p.name == "apk" && before[name].dependency && len(p.with.Remove) > 0
		if _, there := now[name]; !there && !unwanted && !slices.ContainsFunc(p.with.Remove, func(named string) bool { return p.key(named) == name }) {
			others = append(others, name)
		}
	}
	return refusal("removed", others)
}
