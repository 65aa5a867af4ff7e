package executor

import (
	"errors"
	"fmt"
)

// Rollout limits a job to a part of the devices: a stable share of Percent (0 to
// 100) of them, and those besides for whose facts Where, which is jq, is true.
type Rollout struct {
	Percent float64 `json:"percent"`
	Where   string  `json:"where,omitempty"`
}

// Check says what is wrong with a rollout, by the name of its field. A nil one is
// for all.
func (r *Rollout) Check() error {
	if r == nil {
		return nil
	}
	if r.Percent < 0 || r.Percent > 100 {
		return errors.New("rollout.percent: want 0 to 100")
	}
	if _, err := compileIf(r.Where); err != nil {
		return fmt.Errorf("rollout.where: %w", err)
	}
	return nil
}

// String is such as "10 % of the devices, always the same ones".
func (r *Rollout) String() string {
	share := fmt.Sprintf("%g %% of the devices, always the same ones", r.Percent)
	switch {
	case r.Where == "":
		return share
	case r.Percent == 0:
		return "the devices where " + r.Where
	}
	return "the devices where " + r.Where + ", and " + share
}
