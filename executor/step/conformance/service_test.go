package conformance_test

import (
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// serviceCases are what the suite cuts of the kind service.
func serviceCases(t *testing.T) (cases []steptest.Case) {
	var root string
	for _, c := range []struct {
		name, with string
		setup      func(*testing.T, string) error
	}{
		{"service, start", `{"name":"web","action":"start"}`, steptest.SystemdRoot},
		{"service, start what runs", `{"name":"busy","action":"start"}`, steptest.SystemdRoot},
		{"service, restart", `{"name":"busy","action":"restart"}`, steptest.SystemdRoot},
		{"service, disable", `{"name":"busy","action":"disable"}`, steptest.SystemdRoot},
		{"service, stop, procd", `{"name":"busy","action":"stop"}`, steptest.ProcdRoot},
		{"service, enable, procd", `{"name":"web","action":"enable"}`, steptest.ProcdRoot},
	} {
		cases = append(cases, steptest.Case{
			Name: c.name,
			Kind: func(safefile.Files) executor.Kind {
				return steptest.Late{Kind: func() executor.Kind { return step.Service{Root: root} }}
			},
			With:  func(dir string) string { root = dir; return c.with },
			Setup: func(dir string) error { return c.setup(t, dir) },
		})
	}
	return cases
}
