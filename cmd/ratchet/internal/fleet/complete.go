package fleet

import "fmt"

// Incomplete says why a list of devices may lack some of them, and what to do. It
// is empty where nothing shows that anything is missing.
func (f *Fleet) Incomplete() string {
	silent := 0
	for _, d := range f.devices {
		if len(d.Jobs) > 0 && !d.hasState && len(d.Facts) == 0 {
			silent++
		}
	}
	switch {
	case f.left > 0:
		return fmt.Sprintf("%d messages were left out", f.left)
	case silent > 0:
		return fmt.Sprintf("of %d devices only what they reported of jobs came: set max_queued_messages to 0 (mosquitto) or the like at the broker, or forget them", silent)
	}
	return ""
}
