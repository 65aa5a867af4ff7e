package agent

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// newAWS is the fake service, and a device that is its thing gw-1 and does not
// run yet.
func newAWS(t *testing.T, extra string, set ...func(*jobs.Service)) (*jobs.Service, *device) {
	t.Parallel()
	s := &jobs.Service{}
	for _, f := range set {
		f(s)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	d := &device{t: t, dir: t.TempDir()}
	d.write("ratchet.toml", fmt.Sprintf(`device = "gw-1"
state = %q
%s
[link]
dialect = "aws"
broker = "tcp://%s"
spread = "0s"
`, filepath.Join(d.dir, "state"), extra, s.Address()))
	return s, d
}

// files serves a folder at presigned URLs, and returns it.
func files(t *testing.T, s *jobs.Service) string {
	dir := t.TempDir()
	server := httptest.NewServer(s.Presigned(dir))
	t.Cleanup(server.Close)
	s.Files = server.URL
	return dir
}

// ends waits until the service holds the job's newest execution for over.
func ends(t *testing.T, s *jobs.Service, job string) jobs.Execution {
	t.Helper()
	return awaits(t, s, job, func(e jobs.Execution) bool {
		return e.Status != "QUEUED" && e.Status != "IN_PROGRESS" && e.Status != ""
	})
}

// awaits waits until the service's newest execution of a job is ok.
func awaits(t *testing.T, s *jobs.Service, job string, ok func(jobs.Execution) bool) jobs.Execution {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if e := s.Execution("gw-1", job); ok(e) {
			return e
		}
	}
	t.Fatalf("job %s: got %+v, want another state", job, s.Execution("gw-1", job))
	return jobs.Execution{}
}

// create has the service make a job for gw-1.
func create(t *testing.T, s *jobs.Service, id, document string) {
	t.Helper()
	createWith(t, s, jobs.Job{ID: id, Document: document})
}

// createWith is create for a job with more to it.
func createWith(t *testing.T, s *jobs.Service, j jobs.Job) {
	t.Helper()
	j.Targets = []string{"gw-1"}
	if err := s.Create(j); err != nil {
		t.Fatal(err)
	}
}

// native is a document of ours, without an id.
func native(t *testing.T, file string, steps ...string) string {
	d := doc("x", file, steps...)
	delete(d, "id")
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAWSJobRunsAndItsOutcomeIsTold(t *testing.T) {
	s, d := newAWS(t, "")
	d.start()
	file := filepath.Join(d.dir, "out")
	create(t, s, "j1", native(t, file, "a", "b"))
	create(t, s, "j2", native(t, file, "c"))
	e := ends(t, s, "j2")
	if e.Status != "SUCCEEDED" || e.Details["state"] != "succeeded" {
		t.Errorf("got %+v, want SUCCEEDED", e)
	}
	first := s.Execution("gw-1", "j1")
	if got, want := strings.Join(first.History, " "), "QUEUED IN_PROGRESS SUCCEEDED"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := read(t, file), "a b c"; got != want {
		t.Errorf("got %q, want %q: in the order of the queue", got, want)
	}
	if drops := s.Drops(); len(drops) > 0 {
		t.Errorf("got the connection ended for %q, want none", drops)
	}
}
