package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// A Reach is whom a job reaches, by what is known now.
type Reach struct {
	Devices, Away int
	Done          Counts   // of those that are done with this very document
	Others        []string // devices that know another document under the id
	Nobody        []string // what is wrong with those that it was sent to, one line each
}

// Reach says whom the job reaches. To are those that it is sent to.
func (j *Job) Reach(to []string, rows []Row) Reach {
	r := Reach{Done: Counts{}}
	for _, row := range rows {
		r.Devices++
		switch {
		case row.Other:
			r.Others = append(r.Others, row.Device)
		case row.Final() && row.Status.Rev > 0:
			r.Done[row.Status.State]++
		case !row.Online:
			r.Away++
		}
	}
	for _, t := range to {
		if why := j.nobody(t); why != "" {
			r.Nobody = append(r.Nobody, why)
		}
	}
	return r
}

// nobody says why those that something is sent to are not known, or nothing.
func (f *Fleet) nobody(to string) string {
	scope, name, _ := strings.Cut(to, "/")
	switch scope {
	case "device":
		if !f.Device(name).Said() {
			return fmt.Sprintf("%s: no device of this id was ever here: the offer waits for it%s", to, f.like(name))
		}
	case "group":
		if groups := f.Groups(); !slices.Contains(groups, name) {
			return fmt.Sprintf("%s: no known device is in this group: the offer waits for the first one%s", to, executor.DidYouMean(name, groups))
		}
	}
	return ""
}

// like ends an error about a device that nobody knows with one that may be meant.
// Another number is another device, and no slip.
func (f *Fleet) like(name string) string {
	var ids []string
	for id, d := range f.devices {
		if d.Said() && digits(id) == digits(name) {
			ids = append(ids, id)
		}
	}
	return executor.DidYouMean(name, ids)
}

func digits(name string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, name)
}

// Groups lists the groups that devices say they are in, by name.
func (f *Fleet) Groups() []string {
	all := map[string]bool{}
	for _, d := range f.devices {
		for _, g := range d.Known.Groups {
			all[g] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Unknown says that nothing is known of a device, with the one that may be meant.
func (f *Fleet) Unknown(id string) error {
	return fmt.Errorf("no device %s: it has left nothing at the broker that can be read%s", id, f.like(id))
}
