package clock

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// FiringID is the id of the job that is begun under that name for that moment.
func FiringID(name string, at time.Time) string {
	return name + "@" + at.UTC().Format(FiringTime)
}

// FiringTime is the layout of the time in such an id.
const FiringTime = "20060102T150405Z"

// FiredAs is what stands before the @ of such an id.
func FiredAs(id string) (name string, ok bool) {
	name, _, ok = strings.Cut(id, "@")
	return name, ok
}

// FiringName is what stands before the @ in the ids of jobs that the device
// begins by itself, which are to be as short as others.
var FiringName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,47}$`)

// CheckName says what is wrong with a name of schedules, alerts and recurring jobs.
func CheckName(name string) error {
	if FiringName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q: want 1 to 47 of A-Z a-z 0-9 _ -", name)
}
