package rollout

import (
	"fmt"
	"strings"
)

// Counts say how the devices stand that the open waves reach. All but Unwell
// exclude each other.
type Counts struct {
	Devices   int `json:"devices"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Rejected  int `json:"rejected"`
	Cancelled int `json:"cancelled"`
	Working   int `json:"working"` // online, and not done
	Away      int `json:"away"`    // offline, and not done
	Unwell    int `json:"unwell"`  // of Succeeded: gone since, or with a new critical alert
}

// Answered are those that a wave is judged over.
func (c Counts) Answered() int { return c.Succeeded + c.Failed + c.Rejected }

// bad are those that count against a wave.
func (c Counts) bad() int { return c.Failed + c.Rejected + c.Unwell }

// meant are those that can still answer or have.
func (c Counts) meant() int { return c.Devices - c.Cancelled }

// Add counts one device.
func (c *Counts) Add(s Standing) {
	c.Devices++
	switch s {
	case Succeeded:
		c.Succeeded++
	case Unwell:
		c.Succeeded++
		c.Unwell++
	case Failed:
		c.Failed++
	case Rejected:
		c.Rejected++
	case Cancelled:
		c.Cancelled++
	case Working:
		c.Working++
	case Away:
		c.Away++
	}
}

// String is such as "108 devices: 80 succeeded, 2 failed, 26 away".
func (c Counts) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Succeeded, "succeeded"}, {c.Unwell, "of them unwell"}, {c.Failed, "failed"}, {c.Rejected, "rejected"}, {c.Cancelled, "cancelled"}, {c.Working, "not done"}, {c.Away, "away"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	text := fmt.Sprintf("%d devices", c.Devices)
	if c.Devices == 1 {
		text = "1 device"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// A Standing is how one device stands.
type Standing string

// The standings of a device.
const (
	Succeeded Standing = "succeeded"
	Unwell    Standing = "unwell"
	Failed    Standing = "failed"
	Rejected  Standing = "rejected"
	Cancelled Standing = "cancelled"
	Working   Standing = "working"
	Away      Standing = "away"
)
