package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// habitAfter is how much later than its wave a device must have taken the job to
// be one that comes and goes.
const habitAfter = 2 * time.Minute

// A View is what the fleet says of one rollout. It must not be used by two
// goroutines at once.
type View struct {
	Fleet *fleet.Fleet
	job   string

	known   map[string]place // of a device, until its facts or the offers change
	offers  map[string]offer // by whom it is for
	ranks   ranks
	ranksOf string // the waves they are for
}

// place is where a device stands whatever it does.
type place struct {
	rank    int
	reached bool // by the job, once its wave is open
}

// offer is what lies where the job is to be offered.
type offer struct {
	fleet.Offer
	digest string
	all    fleet.Offer // as it is once all waves are open
}

// NewView is a view of one job's rollout that knows nothing yet.
func NewView(job string) *View {
	return &View{Fleet: fleet.New(), job: job, known: map[string]place{}}
}

// Parts are all that says something of a rollout.
func Parts(job string) []fleet.Part {
	return []fleet.Part{fleet.Rollouts(job), fleet.Offers(job), fleet.Devices, fleet.Alerts, fleet.Statuses("+", job)}
}

// Apply takes in what a message says.
func (v *View) Apply(m link.Message) {
	switch {
	case m.Topic.To != "":
		clear(v.known)
		v.offers = nil
	case m.Topic.Part == "facts":
		delete(v.known, m.Topic.Device)
	}
	v.Fleet.Apply(m)
}

// offered are the offers of the job; text is hashed once for each change.
func (v *View) offered() map[string]offer {
	if v.offers != nil {
		return v.offers
	}
	v.offers = map[string]offer{}
	for to, o := range v.Fleet.Offers(v.job) {
		all, err := o.Reaching(nil)
		if err != nil {
			all = o
		}
		v.offers[to] = offer{o, executor.Digest(o.Text), all}
	}
	return v.offers
}

func (v *View) placeOf(d Document, dev *fleet.Device, now time.Time) place {
	p, ok := v.known[dev.ID]
	if !ok {
		p = place{v.ranks.of(dev), slices.ContainsFunc(d.To, func(to string) bool {
			o, there := v.offered()[to]
			return there && !o.Cancel && dev.Reads(to) && o.all.Concerns(to, dev, now)
		})}
		v.known[dev.ID] = p
	}
	return p
}

// A Row is one device of a rollout.
type Row struct {
	Device   string   `json:"device"`
	Wave     string   `json:"wave"`
	Online   bool     `json:"online"`
	Standing Standing `json:"standing,omitempty"` // none while its wave is not open
	Why      string   `json:"why,omitempty"`

	rank  int
	alert string // one that the rollout pauses on
}

// Rows are the devices that the rollout reaches, or will, by id.
func (v *View) Rows(d Document, now time.Time) []Row {
	var list []Row
	v.each(d, now, func(r Row) { list = append(list, r) })
	slices.SortFunc(list, func(a, b Row) int { return strings.Compare(a.Device, b.Device) })
	return list
}

// each calls f for every device that the rollout reaches or will.
func (v *View) each(d Document, now time.Time, f func(Row)) {
	if key := marshal(d.Waves); key != v.ranksOf {
		v.ranks, v.ranksOf = newRanks(d), key
		clear(v.known)
	}
	for dev := range v.Fleet.All() {
		p := v.placeOf(d, dev, now)
		s, told := dev.Jobs[d.Job]
		// What was said of another document is no answer. A rejection from where
		// no wave has come yet is about the envelope.
		told = told && (s.Digest == d.Digest || s.Digest == "") && (p.rank <= d.Wave || s.State != executor.Rejected)
		if !told && (!p.reached || p.rank >= len(d.Waves)) {
			continue
		}
		r := Row{Device: dev.ID, Online: dev.Presence.Online, rank: min(p.rank, len(d.Waves)-1)}
		r.Wave = d.Waves[r.rank].String()
		if told || p.rank <= d.Wave {
			r.Standing, r.Why = standing(d, dev, s, told)
			r.alert = pausesOn(d, dev, s, told)
		}
		f(r)
	}
}

// standing is how a device stands whose wave is open, and why.
func standing(d Document, dev *fleet.Device, s dialect.JobStatus, told bool) (Standing, string) {
	switch {
	case told && s.State == executor.Succeeded:
		if why := unwell(d, dev, s); why != "" {
			return Unwell, why
		}
		return Succeeded, ""
	case told && s.State == executor.Failed:
		return Failed, s.Reason
	case told && s.State == executor.Rejected:
		return Rejected, s.Reason
	case told && s.State == executor.Cancelled:
		return Cancelled, s.Reason
	case !dev.Presence.Online:
		return Away, ""
	}
	return Working, s.Reason
}

// unwell says why a device on which the job succeeded is worse off than it was, or
// nothing. One that was away when its wave was opened, or whose connection comes
// and goes, is away by its own habit.
func unwell(d Document, dev *fleet.Device, s dialect.JobStatus) string {
	for name, a := range dev.Alerts {
		if a.Severity == "critical" && raisedBy(a, s) {
			return "alert " + name
		}
	}
	_, flaps := dev.Alerts["broker-flapping"]
	late := !s.AcceptedAt.IsZero() && s.AcceptedAt.After(d.Since.Add(habitAfter))
	if !dev.Presence.Online && !flaps && !late {
		return "gone since it succeeded"
	}
	return ""
}

func pausesOn(d Document, dev *fleet.Device, s dialect.JobStatus, told bool) string {
	for _, name := range d.Gates.PauseOn {
		if a, raised := dev.Alerts[name]; raised && told && raisedBy(a, s) {
			return name
		}
	}
	return ""
}

// raisedBy reports whether an alert is no older than a job; both times are by the
// clock of the device.
func raisedBy(a dialect.Alert, s dialect.JobStatus) bool {
	return a.Since.IsZero() || s.AcceptedAt.IsZero() || !a.Since.Before(s.AcceptedAt.Time)
}
