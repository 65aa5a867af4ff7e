package serve

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/executor"
)

// A fleetView is what the first page shows.
type fleetView struct {
	Where, Trouble string
	Counts         []countLink
	Rollouts       []rolloutLine
	Failing        string // the newest job that failed somewhere
	Failures       []fleet.Failure
	Devices        []deviceRow
	First, Next    string
}

// A countLink is a number of devices, and the page that lists them.
type countLink struct {
	N    int
	Name string
	Link string
}

type deviceRow struct {
	DeviceLine
	Tags, Alert, Job string
}

// A rolloutLine is a rollout as a page shows it.
type rolloutLine struct {
	Doc     rollout.Document
	Wave    string
	Bar     bar
	Changes []string // what may be done with it now
}

func (s *Server) fleetPage(r *http.Request) (string, any, error) {
	v := fleetView{Where: r.FormValue("where"), Counts: s.counts(), Rollouts: s.rolloutLines(true)}
	s.failing(&v)
	answer, err := s.listDevices(r)
	if p, ok := errors.AsType[problem](err); ok {
		v.Trouble = p.text // of the filter; the rest of the page is right
		return "Fleet", v, nil
	}
	if err != nil {
		return "", nil, err
	}
	l := answer.(list)
	for _, d := range l.Items.([]DeviceLine) {
		v.Devices = append(v.Devices, deviceRow{d, tagWords(d.known.Tags), d.alert, d.job})
	}
	v.Next = nextLink(r, l.Next)
	if r.FormValue("cursor") != "" {
		v.First = "/?where=" + url.QueryEscape(v.Where)
	}
	return "Fleet", v, nil
}

func nextLink(r *http.Request, cursor string) string {
	if cursor == "" {
		return ""
	}
	q := r.URL.Query()
	q.Set("cursor", cursor)
	return r.URL.Path + "?" + q.Encode()
}

func tagWords(tags map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		words = append(words, name+"="+tags[name])
	}
	return strings.Join(words, " ")
}

func (s *Server) counts() []countLink {
	where := func(text string) string { return "/?where=" + url.QueryEscape(text) }
	counts := []countLink{{0, "online", where("state=online")}, {0, "offline", where("state=offline")}, {0, "stale", where("state=stale")},
		{0, "with alerts", where("(.alerts | length) > 0")},
		{0, "busy", where(`any(.jobs[]; .state == "running" or .state == "undoing" or .state == "queued" or .state == "waiting")`)}}
	s.Watcher.View(func(f *fleet.Fleet) {
		now := time.Now()
		for d := range f.All() {
			counts[slices.Index([]string{fleet.Online, fleet.Offline, fleet.Stale}, s.Watcher.State(d, now))].N++
			if len(d.Alerts) > 0 {
				counts[3].N++
			}
			for _, j := range d.Jobs {
				if !j.State.Final() {
					counts[4].N++
					break
				}
			}
		}
	})
	return counts
}

// failing finds the newest job that failed somewhere, and why.
func (s *Server) failing(v *fleetView) {
	for _, l := range s.jobs() {
		if l.States[executor.Failed]+l.States[executor.Rejected] > 0 {
			report := s.jobLately(l.Job)
			v.Failing, v.Failures = l.Job, report.Failures[:min(len(report.Failures), fewNames)]
			return
		}
	}
}

// A lately is a job's report that was made a moment ago.
type lately struct {
	report JobReport
	until  time.Time
}

// jobLately is a job's report; one that is young compared with what it takes to
// make it is taken again, for many may look at it.
func (s *Server) jobLately(id string) JobReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.reports, func(_ string, l lately) bool { return now.After(l.until) })
	if l, ok := s.reports[id]; ok {
		return l.report
	}
	report, _ := s.job(id) // of no job it is empty
	if s.reports == nil {
		s.reports = map[string]lately{}
	}
	s.reports[id] = lately{report, time.Now().Add(max(time.Second/2, patience*time.Since(now)))}
	return report
}

// patience is how many times as long as something took it is not done again.
const patience = 10

func (s *Server) devicePage(r *http.Request) (string, any, error) {
	report, err := s.oneDevice(r)
	return r.PathValue("device"), report, err
}

func (s *Server) jobPage(r *http.Request) (string, any, error) {
	report := s.jobLately(r.PathValue("job"))
	if len(report.To)+len(report.Devices) == 0 {
		return "", nil, problem{http.StatusNotFound, fmt.Sprintf("no job %q is offered or reported", r.PathValue("job"))}
	}
	slices.Sort(report.To)
	return "Job " + report.Job, report, nil
}

func (s *Server) jobsPage(r *http.Request) (string, any, error) {
	answer, err := s.listJobs(r)
	if err != nil {
		return "", nil, err
	}
	l := answer.(list)
	return "Jobs", map[string]any{"Jobs": l.Items, "Next": nextLink(r, l.Next)}, nil
}

func (s *Server) rolloutsPage(*http.Request) (string, any, error) {
	return "Rollouts", map[string]any{"Rollouts": s.rolloutLines(false)}, nil
}

// rolloutLines are the rollouts, or only those that go on.
func (s *Server) rolloutLines(going bool) (lines []rolloutLine) {
	allowed := map[rollout.State][]string{rollout.Running: {"pause", "next", "abort"}, rollout.Paused: {"resume", "next", "abort"}}
	for _, d := range s.rollouts() {
		if going && d.State.Final() {
			continue
		}
		l := rolloutLine{Doc: d, Wave: fmt.Sprintf("%d of %d: %s", d.Wave+1, len(d.Waves), d.Waves[d.Wave]), Changes: allowed[d.State]}
		s.Watcher.View(func(f *fleet.Fleet) {
			counts := map[string]int{}
			for dev := range f.All() {
				if j, ok := dev.Jobs[d.Job]; ok {
					counts[string(j.State)]++
				}
			}
			l.Bar = makeBar(counts)
		})
		lines = append(lines, l)
	}
	return lines
}

func (s *Server) alertsPage(r *http.Request) (string, any, error) {
	answer, err := s.listAlerts(r)
	if err != nil {
		return "", nil, err
	}
	l := answer.(list)
	return "Alerts", map[string]any{"Alerts": l.Items.([]memory.Alert), "Next": nextLink(r, l.Next)}, nil
}

func (s *Server) actionsPage(r *http.Request) (string, any, error) {
	answer, err := s.listActions(r)
	if err != nil {
		return "", nil, err
	}
	l := answer.(list)
	return "Actions", map[string]any{"Actions": l.Items.([]memory.Action), "Next": nextLink(r, l.Next)}, nil
}
