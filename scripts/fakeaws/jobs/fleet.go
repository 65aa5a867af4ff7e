package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Job is what the owner of the fleet asks for.
type Job struct {
	ID       string         `json:"jobId"`
	Targets  []string       `json:"targets"` // things
	Document string         `json:"document"`
	Timeout  *int64         `json:"inProgressTimeoutInMinutes"` // nil: none
	Retries  map[string]int `json:"retries"`                    // by FAILED, TIMED_OUT or ALL; at most ten [retry]
}

// Bounds of a job [model, limits].
const (
	maxDocument = 32768 // characters
	maxMinutes  = 10080 // of a timer; at least one
	maxThing    = 128   // characters of a thing's name
)

var thingForm = regexp.MustCompile(`^[a-zA-Z0-9:_-]+$`)

// invalid says what the service would not take of the job.
func (j Job) invalid() error {
	switch {
	case !jobForm.MatchString(j.ID):
		return fmt.Errorf("jobId: %q", j.ID)
	case utf8.RuneCountInString(j.Document) > maxDocument:
		return errors.New("the document is too long")
	case !json.Valid([]byte(j.Document)):
		return errors.New("the document is not JSON")
	case j.Timeout != nil && (*j.Timeout < 1 || *j.Timeout > maxMinutes):
		return fmt.Errorf("inProgressTimeoutInMinutes: %d: want 1 to %d", *j.Timeout, maxMinutes)
	}
	for _, name := range j.Targets {
		if len(name) > maxThing || !thingForm.MatchString(name) {
			return fmt.Errorf("the thing's name: %q", name)
		}
	}
	total := 0
	for kind, n := range j.Retries {
		if kind != "FAILED" && kind != "TIMED_OUT" && kind != "ALL" || n < 0 {
			return fmt.Errorf("retries: %s: %d", kind, n)
		}
		total += n
	}
	if total > maxRetries {
		return fmt.Errorf("retries: %d: want at most %d", total, maxRetries)
	}
	return nil
}

const maxRetries = 10 // [retry]

// Create queues the job for its targets.
func (s *Service) Create(j Job) error {
	if err := j.invalid(); err != nil {
		return err
	}
	var timeout time.Duration
	if j.Timeout != nil {
		timeout = time.Duration(*j.Timeout) * s.Minute
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range j.Targets {
		t := s.thing(name)
		if old := t.find(j.ID, 0); old != nil {
			return fmt.Errorf("job %s exists", j.ID)
		}
		s.queue(t, &Execution{JobID: j.ID, Document: j.Document, Number: 1, retries: maps.Clone(j.Retries), timeout: timeout})
		s.announce(name, t)
	}
	return nil
}

// Cancel ends the executions of a job: those that are queued and, with force,
// those in progress [lifecycle].
func (s *Service) Cancel(job string, force bool) {
	s.each(job, func(name string, t *thing, e *Execution) {
		if e.Status == "QUEUED" || e.Status == "IN_PROGRESS" && force {
			s.end(name, t, e, "CANCELED")
		}
	})
}

// Delete removes a job with its executions.
func (s *Service) Delete(job string) {
	s.each(job, func(name string, t *thing, e *Execution) {
		var left []*Execution
		for _, other := range t.executions {
			if other != e {
				left = append(left, other)
			}
		}
		t.executions = left
		s.announce(name, t)
	})
}

func (s *Service) each(job string, do func(string, *thing, *Execution)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, t := range s.things {
		for _, e := range append([]*Execution(nil), t.executions...) {
			if e.JobID == job {
				do(name, t, e)
			}
		}
	}
}

// Executions are those of a thing, oldest first.
func (s *Service) Executions(name string) []Execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Execution
	for _, e := range s.thing(name).executions {
		copied := *e
		copied.History = append([]string(nil), e.History...)
		list = append(list, copied)
	}
	return list
}

// Execution is the newest of a job on a thing; its Status is empty if there is none.
func (s *Service) Execution(name, job string) Execution {
	var found Execution
	for _, e := range s.Executions(name) {
		if e.JobID == job {
			found = e
		}
	}
	return found
}

var presigned = regexp.MustCompile(`\$\{aws:iot:s3-presigned-url(?:-v2)?:(https?://[^}]+)\}`)

// presign fills in URLs that are good for some time from now; each is another
// one [presigned]. The lock is held.
func (s *Service) presign(document string) string {
	return presigned.ReplaceAllStringFunc(document, func(placeholder string) string {
		from := presigned.FindStringSubmatch(placeholder)[1]
		s.minted++
		query := url.Values{"X-Amz-Expires": {strconv.Itoa(int(s.Life.Seconds()))}, "X-Amz-Signature": {strconv.Itoa(s.minted)},
			"X-Amz-Date": {strconv.FormatInt(s.Now().UnixNano(), 10)}}
		return s.Files + "/" + path.Base(from) + "?" + query.Encode()
	})
}

// Presigned serves the files of a folder to whoever has a presigned URL that is
// still good, and 403 to others.
func (s *Service) Presigned(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made, err := strconv.ParseInt(r.FormValue("X-Amz-Date"), 10, 64)
		if err != nil || r.FormValue("X-Amz-Signature") == "" || s.Now().After(time.Unix(0, made).Add(s.Life)) {
			http.Error(w, "Request has expired", http.StatusForbidden)
			return
		}
		file, err := os.Open(filepath.Join(dir, path.Base(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer file.Close()
		w.Header().Set("ETag", `"`+path.Base(r.URL.Path)+`"`)
		http.ServeContent(w, r, path.Base(r.URL.Path), time.Time{}, file)
	})
}

// Begin has another client of the thing take the head of its queue.
func (s *Service) Begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.startNext(name, s.thing(name), wire{}) // without details nothing can fail
}
