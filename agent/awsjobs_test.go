package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// lastRecord is the newest of a job. The first look at an agent waits until it
// is connected, and so has its journal.
func (d *device) lastRecord(id string) executor.Record {
	d.t.Helper()
	if d.looked != d.Agent {
		await(d.t, "the device is connected", func() bool { return d.link.Session() != nil })
		d.looked = d.Agent
	}
	r, _, err := d.db.Record(d.intake.KeyOf(id))
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// long is a document whose first step takes for ever, unless file.go is there.
func long(file string) string {
	return fmt.Sprintf(`{"version":"1.0","steps":[{"action":{"name":"long","type":"runCommand","input":{"command":"sh,-c,echo begun >>%[1]s; while ! test -e %[1]s.go; do sleep 0.05; done; echo done >>%[1]s"}}}]}`, file)
}

func TestAJobThatTheServiceClosedIsStoppedHere(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(*jobs.Service){
		"a forced cancel": func(s *jobs.Service) { s.Cancel("job", true) },
		"deletion":        func(s *jobs.Service) { s.Delete("job") },
		"a cancel before another job": func(s *jobs.Service) {
			_ = s.Create(jobs.Job{ID: "next", Targets: []string{"gw-1"}, Document: `{"steps":[{"name":"a","command":{"argv":["true"]}}]}`})
			s.Cancel("job", true)
		},
		"a cancel while it was away": func(s *jobs.Service) {
			s.Drop("gw-1", "test")
			s.Cancel("job", true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newAWS(t, "")
			d.start()
			file := filepath.Join(d.dir, "out")
			create(t, s, "job", long(file))
			await(t, "the step has begun", func() bool { return read(t, file) == "begun" })
			awaits(t, s, "job", func(e jobs.Execution) bool { return e.Status == "IN_PROGRESS" })
			closes(s)
			await(t, "the job is over", func() bool { return d.lastRecord("job").State.Final() })
			r := d.lastRecord("job")
			if r.State != executor.Cancelled || !strings.HasPrefix(r.Reason, "closed by service") {
				t.Errorf("got %s (%s), want it cancelled: closed by service", r.State, r.Reason)
			}
			if got := read(t, file); got != "begun" {
				t.Errorf("got %q, want the step ended", got)
			}
			await(t, "nothing is left to tell", func() bool { return !d.untold(d.lastRecord("job")) })
			if d.alerted("outcome-unreported") {
				t.Error("got an alert, want none: nothing was finished that the service does not know")
			}
		})
	}
}

func TestWorkThatWasDoneWhenTheServiceHadClosedItRaisesAnAlert(t *testing.T) {
	s, d := newAWS(t, "")
	d.start()
	file := filepath.Join(d.dir, "out")
	create(t, s, "job", long(file))
	awaits(t, s, "job", func(e jobs.Execution) bool { return e.Status == "IN_PROGRESS" })
	d.lastRecord("job")
	s.SetFate(func(string) jobs.Fate { return jobs.Fate{Deaf: true} }) // the link is of no use
	s.Drop("gw-1", "test")
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the work is done", func() bool { return d.lastRecord("job").State == executor.Succeeded })
	s.Cancel("job", true)
	s.SetFate(nil)
	await(t, "it is known that nobody will hear of it", func() bool { return d.alerted("outcome-unreported") })
	if e := s.Execution("gw-1", "job"); e.Status != "CANCELED" {
		t.Errorf("got %s at the service, want CANCELED as it was", e.Status)
	}
	await(t, "nothing is left to tell", func() bool { return !d.untold(d.lastRecord("job")) })
}

func TestTheServicesTimerAndItsRetryAreFollowed(t *testing.T) {
	var service movable
	s, d := newAWS(t, "", func(s *jobs.Service) { s.Now = service.now })
	d.start()
	file := filepath.Join(d.dir, "out")
	createWith(t, s, jobs.Job{ID: "job", Document: long(file), Timeout: new(int64(60)), Retries: map[string]int{"TIMED_OUT": 1}})
	awaits(t, s, "job", func(e jobs.Execution) bool { return e.Status == "IN_PROGRESS" })
	service.move(2 * time.Hour)
	awaits(t, s, "job", func(e jobs.Execution) bool { return e.Number == 2 && e.Status == "IN_PROGRESS" })
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" || e.Number != 2 {
		t.Errorf("got %s of execution %d, want SUCCEEDED of the second", e.Status, e.Number)
	}
	if first := s.Executions("gw-1")[0]; first.Status != "TIMED_OUT" {
		t.Errorf("got %s of the first execution, want TIMED_OUT", first.Status)
	}
}

func TestAnOwnTimeoutIsAFailure(t *testing.T) {
	s, d := newAWS(t, "")
	d.start()
	create(t, s, "job", `{"steps":[{"name":"slow","command":{"argv":["sleep","60"]},"timeout":"200ms"}]}`)
	if e := ends(t, s, "job"); e.Status != "FAILED" || !strings.Contains(e.Details["reason"], "200ms") {
		t.Errorf("got %s (%s), want FAILED for the time", e.Status, e.Details["reason"])
	}
}

func TestAJobThatWaitsStaysQueued(t *testing.T) {
	s, d := newAWS(t, "")
	d.start()
	inhibit := filepath.Join(d.dir, "state", "inhibit")
	if err := os.MkdirAll(inhibit, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inhibit, "app"), []byte("not now"), 0o600); err != nil {
		t.Fatal(err)
	}
	create(t, s, "job", `{"steps":[{"name":"a","command":{"argv":["true"]}}]}`)
	await(t, "the job waits", func() bool {
		r := d.lastRecord("job")
		return r.Rev > 0 && d.report.Report(r).Waiting != ""
	})
	if e := s.Execution("gw-1", "job"); e.Status != "QUEUED" {
		t.Errorf("got %s, want QUEUED", e.Status)
	}
	if err := os.Remove(filepath.Join(inhibit, "app")); err != nil {
		t.Fatal(err)
	}
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" {
		t.Errorf("got %s, want SUCCEEDED", e.Status)
	}
}

func TestWhatCanNeverWorkIsRejectedAndWhatIsNotForUsToo(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"steps":[{"name":"a","command":{"argv":["true"]}}],"target":".board.arch == \"none\""}`:                                     "not for this device",
		`{"steps":[{"name":"a","nonsense":{}}]}`:                                                                                      "nonsense",
		`{"id":"other","steps":[{"name":"a","command":{"argv":["true"]}}]}`:                                                           `id is "other"`,
		`{"version":"2.0","steps":[{"action":{"name":"a","type":"runCommand"}}]}`:                                                     "version",
		`{"job":"{\"id\":\"job\",\"cancel\":true}"}`:                                                                                  "cancel the job execution",
		`{"version":"1.0","steps":[{"action":{"name":"a","type":"runHandler","input":{"handler":"../../bin/sh","path":"default"}}}]}`: "want the name of a file",
	} {
		t.Run(want, func(t *testing.T) {
			s, d := newAWS(t, "")
			d.start()
			create(t, s, "job", document)
			if e := ends(t, s, "job"); e.Status != "REJECTED" || !strings.Contains(e.Details["reason"], want) {
				t.Errorf("got %s (%s), want it REJECTED for %q", e.Status, e.Details["reason"], want)
			}
		})
	}
}

func TestAnExecutionInProgressWithoutARecordFails(t *testing.T) {
	s, d := newAWS(t, "")
	create(t, s, "job", `{"steps":[{"name":"a","command":{"argv":["true"]}}]}`)
	s.Begin("gw-1") // another agent, or this one before its journal was lost
	d.start()
	if e := ends(t, s, "job"); e.Status != "FAILED" || e.Details["reason"] != "journal lost" {
		t.Errorf("got %s (%s), want FAILED: journal lost", e.Status, e.Details["reason"])
	}
}

func TestDetailsThatTheServiceRefusesAreLeftOut(t *testing.T) {
	s, d := newAWS(t, "")
	var updates atomic.Int32
	s.Fate = func(topic string) jobs.Fate {
		if strings.HasSuffix(topic, "/update") && updates.Add(1) == 1 {
			return jobs.Fate{Code: "InvalidRequest"}
		}
		return jobs.Fate{}
	}
	d.start()
	create(t, s, "job", `{"steps":[{"name":"a","command":{"argv":["sleep","0.3"]}}]}`)
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" || updates.Load() < 3 {
		t.Errorf("got %s after %d updates, want SUCCEEDED after a refusal, a bare one and the end", e.Status, updates.Load())
	}
}

// The service refuses an update for one control character, one value that is
// empty or too long, one pair too many: nothing that a job says may do that.
func TestNothingThatAJobSaysMakesTheServiceRefuseIt(t *testing.T) {
	s, d := newAWS(t, "")
	var refused atomic.Int32
	s.Watch = func(reply string) {
		if strings.HasSuffix(reply, "/rejected") {
			refused.Add(1)
		}
	}
	d.start()
	create(t, s, "job", `{"version":"1.0","includeStdOut":true,"steps":[
		{"action":{"name":"a\tname\nof two lines","type":"runCommand","ignoreStepFailure":true,"input":{"command":"sh,-c,printf 'tab\\tbell\\a\\033[1mbold\\n\\n€ 😀 \\377\\376\\u200b'; exit 3"}}},
		{"action":{"name":"`+strings.Repeat("é", 100)+`","type":"runCommand","input":{"command":"sh,-c,seq 1 5000 | tr '\\n' '😀'; echo; exit 4"}}}]}`)
	e := ends(t, s, "job")
	if e.Status != "FAILED" || refused.Load() > 0 {
		t.Errorf("got %s, and %d updates refused, want FAILED and none", e.Status, refused.Load())
	}
	if len(e.Details["stdout"]) < 1000 {
		t.Errorf("got %q told, want as much as there is room for", e.Details["stdout"])
	}
}

// untold reports whether the Record is not told as it is.
func (d *device) untold(r executor.Record) bool {
	records, err := d.db.Untold()
	return err != nil || slices.ContainsFunc(records, func(u executor.Record) bool { return u.Key == r.Key })
}
