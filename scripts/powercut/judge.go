package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A judge checks what the device told against what was seen of it.
type judge struct {
	jobs     map[string]*job
	events   []event
	files    map[string]string // in the machine, at the end: path and digest
	uploaded func(path string) bool

	last  map[string]status
	runs  map[string]int // of a job's step
	found []string
}

func (j *judge) violation(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(j.found, text) {
		j.found = append(j.found, text)
	}
}

// judge returns what must not have happened. Unless the jobs were given the time to
// end, what they left is not judged.
func (j *judge) judge(ended bool) []string {
	j.last, j.runs = map[string]status{}, map[string]int{}
	for _, e := range j.events {
		switch e.What {
		case told:
			j.told(*e.Status)
		case marked:
			j.marked(e.Words)
		}
	}
	if ended {
		for _, each := range j.jobs {
			j.ended(each)
		}
		j.leftovers()
	}
	return j.found
}

// told: a final state stays, and revs never fall.
func (j *judge) told(s status) {
	before := j.last[s.Job]
	if before.final() && s.State != before.State {
		j.violation("%s: was %s, and then %s", s.Job, before.State, s.State)
	}
	if s.Rev < before.Rev {
		j.violation("%s: rev %d came after %d", s.Job, s.Rev, before.Rev)
		return
	}
	for i, now := range s.Steps {
		if i >= len(before.Steps) {
			break
		}
		was := before.Steps[i]
		if now.Attempts < was.Attempts || now.Interrupted < was.Interrupted {
			j.violation("%s %s: %d starts and %d interruptions became %d and %d", s.Job, now.Name, was.Attempts, was.Interrupted, now.Attempts, now.Interrupted)
		}
		if was.State == "succeeded" && now.State != "succeeded" && now.State != "undone" {
			j.violation("%s %s: was succeeded, and then %s", s.Job, now.Name, now.State)
		}
	}
	j.last[s.Job] = s
}

// marked: what is done never runs again, in a job that has ended nothing runs, and
// the attempt is one that was counted before it began.
func (j *judge) marked(words []string) {
	if words[0] == "unmountable" {
		j.violation("the file system cannot be mounted")
	}
	if len(words) != 4 {
		return
	}
	id, name := words[1], words[2]
	attempt, err := strconv.Atoi(words[3])
	if err != nil || words[0] != "ran" {
		return
	}
	j.runs[id+" "+name]++
	s := j.last[id]
	if s.final() {
		j.violation("%s %s ran after the job was told to be %s", id, name, s.State)
	}
	for _, step := range s.Steps {
		if step.Name != name {
			continue
		}
		if step.State == "succeeded" || step.State == "undone" {
			j.violation("%s %s ran again after it was told to be %s", id, name, step.State)
		}
		if attempt < step.Attempts {
			j.violation("%s %s ran with attempt %d after attempt %d was told", id, name, attempt, step.Attempts)
		}
	}
	if strings.HasPrefix(id, "tick@") && j.runs[id+" "+name] > 1 {
		j.violation("%s ran twice, and was to run at most once", id)
	}
}

// ended: what a job left behind is what its last report says.
func (j *judge) ended(of *job) {
	s := j.last[of.id]
	if !s.final() {
		j.violation("%s never ended: %s", of.id, s.State)
		return
	}
	if s.State == "rejected" {
		j.violation("%s was rejected: %s", of.id, s.Reason)
		return
	}
	for i, want := range of.steps {
		if i >= len(s.Steps) || s.Steps[i].Name != want.name {
			j.violation("%s: step %s is not in the report", of.id, want.name)
			return
		}
		j.step(of, want, s.Steps[i].State, s.Steps[i].Attempts)
	}
}

func (j *judge) step(of *job, want step, state string, attempts int) {
	runs := j.runs[of.id+" "+want.name]
	if want.once && runs > 1 {
		j.violation("%s %s ran %d times, and was to run at most once", of.id, want.name, runs)
	}
	if runs > attempts {
		j.violation("%s %s ran %d times, and %d starts were told", of.id, want.name, runs, attempts)
	}
	if want.fails && state == "succeeded" {
		j.violation("%s %s succeeded, and could not", of.id, want.name)
	}
	if want.marks && state == "succeeded" && runs == 0 {
		j.violation("%s %s succeeded, and never ran", of.id, want.name)
	}
	if want.puts != "" && state == "succeeded" && !j.uploaded(want.puts) {
		j.violation("%s %s succeeded, and nothing was uploaded", of.id, want.name)
	}
	for path, digest := range want.files {
		got, there := j.files[path]
		switch {
		case state == "succeeded" && got != digest:
			j.violation("%s %s succeeded, and %s is not what it wrote (there: %v)", of.id, want.name, path, there)
		case state != "succeeded" && want.kind != "command" && there:
			j.violation("%s %s is %s, and %s is there", of.id, want.name, state, path)
		}
	}
}

// leftovers: nothing is in the folders of work that no job wanted there.
func (j *judge) leftovers() {
	wanted := map[string]bool{}
	for _, each := range j.jobs {
		for _, s := range each.steps {
			for path := range s.files {
				wanted[path] = true
				if s.kind == "command" {
					wanted[path+".new"] = true // its program was cut
				}
			}
		}
	}
	for path := range j.files {
		if strings.HasPrefix(path, work) && !wanted[path] || strings.HasPrefix(path, "/data/state/undo") {
			j.violation("%s is left", path)
		}
	}
}
