package rollout

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A Wave is whom a rollout reaches beside those of the waves before: those whom
// jq over the facts names, or a share of the devices in percent.
type Wave struct {
	Name    string  `json:"name,omitempty"`
	Where   string  `json:"where,omitempty"`
	Percent float64 `json:"percent,omitempty"`
}

// String is the wave's name, or its share.
func (w Wave) String() string {
	if w.Where == "" {
		return fmt.Sprintf("%g %%", w.Percent)
	}
	return w.Name
}

// Waves are those that the command line asks for: canary is jq or empty, shares is
// such as "1,10,50,100".
func Waves(canary, shares string) ([]Wave, error) {
	var list []Wave
	if canary != "" {
		list = append(list, Wave{Name: "canary", Where: canary})
	}
	for _, text := range strings.Split(shares, ",") {
		p, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "%"), 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no share: want percents such as 1,10,50,100", text)
		}
		list = append(list, Wave{Percent: p})
	}
	return list, checkWaves(list)
}

func checkWaves(list []Wave) error {
	if len(list) == 0 || len(list) > maxWaves {
		return fmt.Errorf("waves: want 1 to %d", maxWaves)
	}
	last := 0.0
	for i, w := range list {
		if w.Where == "" {
			if !(w.Percent > last && w.Percent <= 100) {
				return fmt.Errorf("waves[%d]: %g %%: want each share above the one before, at most 100", i, w.Percent)
			}
			last = w.Percent
			continue
		}
		if w.Name == "" || w.Percent != 0 {
			return fmt.Errorf("waves[%d]: want name and where, or percent", i)
		}
		if _, err := jq.Compile(w.Where); err != nil {
			return fmt.Errorf("waves[%d].where: %w", i, err)
		}
	}
	if last == 0 {
		return errors.New("waves: want a share at the end: 100 for all")
	}
	return nil
}

// Reach is the rollout that the job's envelope has by now: the waves that are
// open, together.
func (d Document) Reach() *executor.Rollout {
	r := &executor.Rollout{}
	if d.State == Aborted {
		return r
	}
	var named []string
	for _, w := range d.Waves[:d.Wave+1] {
		if w.Where != "" {
			named = append(named, "("+w.Where+")")
		}
		r.Percent = max(r.Percent, w.Percent)
	}
	if r.Percent < 100 {
		r.Where = strings.Join(named, " or ")
	}
	return r
}

// ranks are the waves, ready to be asked which of them a device is in.
type ranks struct {
	job   string
	waves []Wave
	where []*jq.Expr
}

func newRanks(d Document) ranks {
	r := ranks{d.Job, d.Waves, make([]*jq.Expr, len(d.Waves))}
	for i, w := range d.Waves {
		if w.Where != "" {
			r.where[i], _ = jq.Compile(w.Where) // the document is checked
		}
	}
	return r
}

// of is the first wave that a device is in; one in none has their number.
func (r ranks) of(d *fleet.Device) int {
	for i, w := range r.waves {
		if w.Where == "" && dialect.InRollout(r.job, d.ID, w.Percent) {
			return i
		}
		if r.where[i] != nil {
			if yes, err := d.Meets(r.where[i]); err == nil && yes {
				return i
			}
		}
	}
	return len(r.waves)
}
