package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/ratchetd/ratchet/executor"
)

// work is the folder in the machine in which jobs write, each below its id.
const work = "/data/work/"

// A job is one that the device is offered, and what must come of it.
type job struct {
	id    string
	shape string
	doc   map[string]any
	steps []step
}

// A step is one of a job, and how it is judged.
type step struct {
	name  string
	kind  string
	once  bool              // it must never run twice
	marks bool              // it says that it runs, and that it has ended
	files map[string]string // what lies where once it succeeded and was not undone: the digest, or "" for anything
	puts  string            // what must have been uploaded, by path
	fails bool              // it is made to fail
}

// A builder makes jobs at random, each of them once.
type builder struct {
	random *rand.Rand
	out    *outside
	n      int
}

// shapes are the sorts of jobs. The first ones are the common ones.
var shapes = []struct {
	name  string
	often int
	make  func(*builder, *job)
}{
	{"steps", 6, (*builder).ordinary},
	{"trial", 2, (*builder).trial},
	{"undo", 2, (*builder).undone},
	{"settings", 1, (*builder).settings},
	{"firmware", 2, (*builder).firmware},
	{"reboot", 1, (*builder).reboot},
	{"update", 1, (*builder).update},
}

// next is one more job.
func (b *builder) next() *job {
	total := 0
	for _, s := range shapes {
		total += s.often
	}
	at := b.random.IntN(total)
	for _, s := range shapes {
		if at -= s.often; at < 0 {
			b.n++
			j := &job{id: fmt.Sprintf("%s-%d", s.name, b.n), shape: s.name, doc: map[string]any{}}
			s.make(b, j)
			return j
		}
	}
	panic("no shape")
}

// text is the job's document.
func (j *job) text() []byte {
	j.doc["id"] = j.id
	text, err := json.Marshal(j.doc)
	if err != nil {
		panic(err)
	}
	return text
}

// add adds a step of that kind; more are the step's common keys.
func (j *job) add(kind string, with any, s step, more map[string]any) {
	s.name, s.kind = fmt.Sprintf("s%d", len(j.steps)), kind
	doc := map[string]any{"name": s.name, kind: with}
	for k, v := range more {
		doc[k] = v
	}
	steps, _ := j.doc["steps"].([]any)
	j.doc["steps"] = append(steps, doc)
	j.steps = append(j.steps, s)
}

func (j *job) path(name string) string { return work + j.id + "/" + name }

func (b *builder) ordinary(j *job) {
	kinds := []func(*builder, *job){rerun, verified, atMostOnce, file, download, data, upload, diagnostic, plugin, config, service}
	for range 2 + b.random.IntN(3) {
		kinds[b.random.IntN(len(kinds))](b, j)
	}
}

// running is a program that says when it runs and when it has ended.
const running = "mark ran && sleep 0.%d && mark ended"

func (b *builder) program() map[string]any {
	return map[string]any{"shell": fmt.Sprintf(running, 1+b.random.IntN(8))}
}

func rerun(b *builder, j *job) { j.add("command", b.program(), step{marks: true}, nil) }

func atMostOnce(b *builder, j *job) {
	j.add("command", b.program(), step{marks: true, once: true}, map[string]any{"ifInterrupted": "fail"})
}

// verified leaves a file by which a later check knows that it was done.
func verified(b *builder, j *job) {
	done := j.path(fmt.Sprintf("done-%d", len(j.steps)))
	with := map[string]any{"shell": fmt.Sprintf("mark ran; mkdir -p %s; sleep 0.%d; echo done > %s.new; sync; mv %[3]s.new %[3]s; sync; mark ended", work+j.id, 1+b.random.IntN(5), done)}
	j.add("command", with, step{marks: true, files: map[string]string{done: executor.Digest([]byte("done\n"))}},
		map[string]any{"ifInterrupted": "verify", "check": map[string]any{"file": done}})
}

func (b *builder) content(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('a' + b.random.IntN(26))
	}
	return string(text)
}

func file(b *builder, j *job) {
	text, to := b.content(1+b.random.IntN(9000)), j.path(fmt.Sprintf("file-%d", len(j.steps)))
	j.add("file", map[string]any{"path": to, "content": text}, step{files: map[string]string{to: executor.Digest([]byte(text))}}, nil)
}

func config(b *builder, j *job) {
	files, want := []any{}, map[string]string{}
	for i := range 3 {
		text, to := b.content(1+b.random.IntN(3000)), j.path(fmt.Sprintf("config-%d-%d", len(j.steps), i))
		files, want[to] = append(files, map[string]any{"path": to, "content": text}), executor.Digest([]byte(text))
	}
	j.add("config", map[string]any{"files": files, "apply": []string{"sleep", "0.1"}}, step{files: want}, nil)
}

func download(b *builder, j *job) {
	text, from, to := b.content(200_000+b.random.IntN(600_000)), "/"+j.id+"/"+fmt.Sprint(len(j.steps)), j.path(fmt.Sprintf("download-%d", len(j.steps)))
	b.out.serve(from, []byte(text))
	sum := executor.Digest([]byte(text))
	j.add("download", map[string]any{"url": b.out.url(from), "sha256": sum, "to": to}, step{files: map[string]string{to: sum}}, nil)
}

func data(b *builder, j *job) {
	from, to := j.path(fmt.Sprintf("lines-%d", len(j.steps))), j.path(fmt.Sprintf("sums-%d", len(j.steps)+1))
	var lines bytes.Buffer
	sum := 0
	for range 200 {
		n := b.random.IntN(1000)
		sum += n
		fmt.Fprintf(&lines, "{\"n\":%d}\n", n)
	}
	j.add("file", map[string]any{"path": from, "content": lines.String()}, step{files: map[string]string{from: executor.Digest(lines.Bytes())}}, nil)
	j.add("data", map[string]any{"inputs": []string{from}, "format": "jsonl", "jq": "reduce inputs as $r (0; . + $r.n)", "output": to},
		step{files: map[string]string{to: executor.Digest(fmt.Appendf(nil, "%d\n", sum))}}, nil)
}

func upload(b *builder, j *job) {
	file(b, j)
	last := j.steps[len(j.steps)-1]
	for from := range last.files {
		to := "/up/" + j.id + "/" + fmt.Sprint(len(j.steps))
		j.add("upload", map[string]any{"paths": []string{from}, "url": b.out.url(to)}, step{puts: to}, nil)
	}
}

func diagnostic(b *builder, j *job) {
	j.add("diagnostic", map[string]any{"checks": []any{map[string]any{"disk": "/data", "above": 1}, map[string]any{"broker": true}}},
		step{}, map[string]any{"retry": map[string]any{"attempts": 20, "delay": "1s"}})
}

// plugin writes a file in three pieces, each of which it saves.
func plugin(b *builder, j *job) {
	to := j.path(fmt.Sprintf("plugin-%d", len(j.steps)))
	j.add("plugin", map[string]any{"name": "pieces", "with": map[string]any{"to": to}}, step{marks: true, files: map[string]string{to: executor.Digest([]byte("1\n2\n3\n"))}}, nil)
}

// trial has a config that is on trial, and good or bad.
func (b *builder) trial(j *job) {
	good := b.random.IntN(2) == 0
	check := map[string]any{"command": []string{"true"}}
	if !good {
		check = map[string]any{"command": []string{"false"}}
	}
	file(b, j)
	text, to := b.content(500), j.path("trial")
	j.add("config", map[string]any{"files": []any{map[string]any{"path": to, "content": text}}, "apply": []string{"sleep", "0.2"}},
		step{files: map[string]string{to: executor.Digest([]byte(text))}, fails: !good},
		map[string]any{"confirm": map[string]any{"within": "8s", "check": check}})
	j.doc["undoOnFailure"] = b.random.IntN(2) == 0
}

// undone fails at its end and takes back what was done.
func (b *builder) undone(j *job) {
	file(b, j)
	config(b, j)
	plugin(b, j)
	j.add("command", map[string]any{"shell": "mark ran; sleep 0.2; exit 3"}, step{marks: true, fails: true}, nil)
	j.doc["undoOnFailure"] = true
	j.doc["onFailure"] = []any{map[string]any{"name": "after", "command": map[string]any{"argv": []string{"true"}}}}
}

func (b *builder) settings(j *job) {
	every := 20 + b.random.IntN(100)
	j.add("settings", map[string]any{"name": "telemetry", "content": fmt.Sprintf("[telemetry]\nevery = \"%ds\"\npublish = \"10m\"\n", every)}, step{}, nil)
	rerun(b, j)
}

// firmware is an image for the board's other slot: good, bad, or for another board.
func (b *builder) firmware(j *job) {
	rerun(b, j)
	is, version := "good", fmt.Sprintf("%d", 100+b.n)
	if b.random.IntN(3) == 0 {
		is = "bad"
	}
	image := fmt.Sprintf("image for stand-in\nversion %s-%s\n%s", version, is, b.content(50_000))
	from := "/" + j.id + "/image"
	b.out.serve(from, []byte(image))
	j.add("firmware", map[string]any{"url": b.out.url(from), "sha256": executor.Digest([]byte(image)), "version": version + "-" + is, "board": "stand-in", "force": true},
		step{fails: is == "bad"}, map[string]any{"confirm": map[string]any{"within": "30s"}})
	rerun(b, j)
}

func (b *builder) reboot(j *job) {
	file(b, j)
	j.add("reboot", map[string]any{}, step{}, nil)
	rerun(b, j)
}

// service is one of procd's, which a board that has no power forgets to have started.
func service(b *builder, j *job) {
	actions := []string{"start", "stop", "restart", "reload", "enable", "disable"}
	j.add("service", map[string]any{"name": "web", "action": actions[b.random.IntN(len(actions))]}, step{}, nil)
}

// update is another build of the agent, or what does not start at all.
func (b *builder) update(j *job) {
	rerun(b, j)
	to := b.random.IntN(len(b.out.agents) + 1)
	if to < len(b.out.agents) {
		a := b.out.agents[to]
		j.add("update", map[string]any{"url": b.out.url("/" + a.version), "sha256": a.digest, "version": a.version, "force": true}, step{}, nil)
	} else {
		text := "#!/bin/sh\nexit 1\n"
		b.out.serve("/broken", []byte(text))
		j.add("update", map[string]any{"url": b.out.url("/broken"), "sha256": executor.Digest([]byte(text)), "version": "broken"}, step{fails: true}, nil)
	}
	rerun(b, j)
}
