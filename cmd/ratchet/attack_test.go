package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
)

var update = flag.Bool("update", false, "write testdata/attacks.txt again")

// maxAllocated is how many bytes a command may allocate in all, its broker and
// what goes through it included.
const maxAllocated = 1000 << 20

// An attack is what a device or a broker says to an operator's command.
type attack struct {
	name string
	says map[string]string // by the topic below the root
	run  []string
}

const nasty = "\x1b[2J\x1b]0;owned\x07\u009b2J\u202egnp.exe\u2066\u200b\x00\x7f\xff\r\nfake: line"

func nested(deep int) string { return strings.Repeat("[", deep) + strings.Repeat("]", deep) }

// statuses are n statuses of one device, each with this text.
func statuses(n int, text string) map[string]string {
	says := map[string]string{}
	for i := range n {
		says[fmt.Sprintf("device/gw-1/jobs/j%04d", i)] = text
	}
	return says
}

func quotedJSON(text string) string {
	return strings.Trim(string(jsonOf(text)), `"`)
}

var attacks = []attack{
	{"facts that nest deep, as JSON", map[string]string{"device/gw-1/facts": `{"x":` + nested(9990) + `}`}, []string{"devices", "--json"}},
	{"facts that nest deep, as a table", map[string]string{"device/gw-1/facts": `{"tags":{"a":"b"},"x":` + nested(9990) + `}`}, []string{"devices"}},
	{"facts that nest as deep as is taken, many times", map[string]string{"device/gw-1/facts": `{"x":[` + strings.Repeat(nested(28)+",", 1100) + `1]}`}, []string{"devices", "--json"}},
	{"facts that are too long", map[string]string{"device/gw-1/facts": `{"x":"` + strings.Repeat("x", 200<<10) + `"}`}, []string{"devices", "--json"}},
	{"facts with many empty tags", map[string]string{"device/gw-1/facts": `{"tags":{` + strings.Repeat(`"":"",`, 10000) + `"a":"b"}}`}, []string{"devices"}},
	{"400 long statuses of one device", statuses(400, `{"state":"running","rev":1,"reason":"`+strings.Repeat("x", 200000)+`"}`), []string{"jobs"}},
	{"400 statuses of 5,400 steps", statuses(400, `{"state":"running","rev":1,"steps":[`+strings.Repeat("{},", 5399)+`{}]}`), []string{"jobs"}},
	{"the same, as JSON", statuses(400, `{"state":"running","rev":1,"steps":[`+strings.Repeat("{},", 5399)+`{}]}`), []string{"jobs", "--device", "gw-1", "--json"}},
	{"400 statuses whose result nests deep", statuses(400, `{"state":"running","rev":1,"steps":[{"name":"a","result":`+nested(7000)+`}]}`), []string{"jobs", "--device", "gw-1", "--json"}},
	{"6,000 statuses of one device", statuses(6000, `{"state":"succeeded","rev":1}`), []string{"jobs", "--device", "gw-1"}},
	{"a status of 5,400 steps, watched", statuses(1, `{"state":"failed","rev":1,"steps":[`+strings.Repeat("{},", 5399)+`{}]}`), []string{"watch", "j0000"}},
	{"control characters in a reason", map[string]string{"device/gw-1/jobs/j": `{"state":"failed","rev":1,"reason":"` + quotedJSON(nasty) + `"}`}, []string{"watch", "j"}},
	{"control characters in a reason, as JSON", map[string]string{"device/gw-1/jobs/j": `{"state":"failed","rev":1,"reason":"` + quotedJSON(nasty) + `"}`}, []string{"watch", "j", "--json"}},
	{"control characters in a state", map[string]string{"device/gw-1/jobs/j": `{"state":"` + quotedJSON(nasty) + `","rev":1}`}, []string{"jobs"}},
	{"control characters in tags and groups", map[string]string{"device/gw-1/facts": `{"tags":{"` + quotedJSON(nasty) + `":"` + quotedJSON(nasty) + `"},"groups":["` + quotedJSON(nasty) + `"],"agent":"` + quotedJSON(nasty) + `"}`}, []string{"devices"}},
	{"the same, as JSON", map[string]string{"device/gw-1/facts": `{"tags":{"a` + "\u009b2J\u202e" + `":"b"}}`}, []string{"devices", "--json"}},
	{"control characters in a device's id", map[string]string{"device/gw\u009b2J\u202e/state": `{"online":true}`}, []string{"devices"}},
	{"control characters in a job's id", map[string]string{"device/gw-1/jobs/j\u009b2J\u202e": `{"state":"failed","rev":1}`}, []string{"jobs"}},
	{"control characters in whom an offer is for", map[string]string{"jobs/group/g\u009b2J\u202e/j": `{"id":"j","steps":[]}`}, []string{"cancel", "j"}},
	{"audiences that the broker made up", map[string]string{"jobs/all/j": wholeJob, "jobs/device/bank/j": wholeJob}, []string{"cancel", "j", "--sign", "KEY"}},
	{"a cancel that only looks signed", map[string]string{"jobs/all/j": `{"job":"{\"id\":\"j\",\"cancel\":true,\"audience\":[\"all\"]}","signature":"x"}`},
		[]string{"cancel", "j", "--sign", "KEY", "--to", "all"}},
	{"control characters in a rollout", map[string]string{"rollouts/j": strings.Replace(someRollout, "ann", quotedJSON(nasty), -1)}, []string{"rollout", "status"}},
	{"control characters in a rollout that cannot be read", map[string]string{"rollouts/j": strings.Replace(someRollout, "running", quotedJSON(nasty), 1)}, []string{"rollout", "status", "j"}},
	{"a rollout of another job", map[string]string{"rollouts/k": someRollout}, []string{"rollout", "pause", "k"}},
	{"a rollout whose jq nests deep", map[string]string{"rollouts/j": strings.Replace(someRollout, `"percent":100`, `"name":"canary","where":"`+nested(20000)+`"`, 1)}, []string{"rollout", "status", "j"}},
	{"a longer life than the author gave", map[string]string{"jobs/all/j": `{"id":"j","created":"2026-01-01T00:00:00Z","expires":"2099-01-01T00:00:00Z","audience":["all"],"steps":[{"name":"s","command":{"argv":["true"]}}]}`},
		[]string{"submit", "JOB", "--to", "all", "--sign", "KEY"}},
}

const wholeJob = `{"id":"j","steps":[{"name":"s","command":{"argv":["true"]}}]}`

const someRollout = `{"job":"j","digest":"x","to":["all"],"state":"running","wave":0,"waves":[{"percent":100}],"soak":"0s",` +
	`"gates":{"abortAbove":2,"minAnswers":80,"within":"2h0m0s"},"since":"2026-11-30T09:00:00Z","base":{"devices":0,"succeeded":0,"failed":0,"rejected":0,"cancelled":0,"working":0,"away":0,"unwell":0},` +
	`"rev":1,"by":"ann","history":[{"at":"2026-11-30T09:00:00Z","by":"ann","did":"ann","wave":"ann","because":"ann"}]}`

// TestAttacks lets a device or a broker try to fill the operator's memory and to
// write to the terminal. What comes of each is checked against testdata/attacks.txt.
func TestAttacks(t *testing.T) {
	const table = "testdata/attacks.txt"
	var rows []string
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { rows = append(rows, fmt.Sprintf("%-48s | %s", a.name, a.try(t))) })
	}
	got := strings.Join(rows, "\n") + "\n"
	if *update {
		if err := os.WriteFile(table, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// try returns the last line that the command prints, which says what it left out.
func (a attack) try(t *testing.T) string {
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	a.publish(t, url)
	var out, errs bytes.Buffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files := a.files(t)
	args := append(slices.Clone(a.run), "--broker", url)
	for i, arg := range args {
		args[i] = cmp.Or(files[arg], arg)
	}
	run(args, strings.NewReader(""), &out, &errs)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > maxAllocated {
		t.Errorf("%d MB were allocated, at most %d", used>>20, maxAllocated>>20)
	}
	if out.Len() > 8<<20 {
		t.Errorf("%d bytes were printed", out.Len())
	}
	for _, text := range []string{out.String(), errs.String()} {
		if i := strings.IndexFunc(text, unprintable); i >= 0 {
			t.Errorf("it prints %+q", text[max(0, i-20):min(len(text), i+20)])
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()+errs.String()), "\n")
	last := strings.Join(strings.Fields(lines[len(lines)-1]), " ")
	last = regexp.MustCompile(`\d+ more`).ReplaceAllString(last, "N more") // a broker may send one twice
	return last[:min(len(last), 200)]
}

// files are a key and a job of the operator's own.
func (a attack) files(t *testing.T) map[string]string {
	dir := t.TempDir()
	key, job := filepath.Join(dir, "jobs.key"), filepath.Join(dir, "job.json")
	_, _, err := signing.Create(key, true)
	if err := errors.Join(err, os.WriteFile(job, []byte(wholeJob), 0o600)); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"KEY": key, "JOB": job}
}

func (a attack) publish(t *testing.T, url string) {
	c, err := link.Connect(t.Context(), link.Options{Broker: url, Root: "ratchet/v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for topic, payload := range a.says {
		to, ok := dialect.ParseTopic("ratchet/v1", "ratchet/v1/"+topic)
		if !ok {
			t.Fatalf("%q is no topic", topic)
		}
		if err := c.Publish(ctx, to, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
}

func unprintable(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }

func jsonOf(text string) []byte {
	text = strings.ToValidUTF8(text, "")
	b, _ := json.Marshal(text)
	return b
}
