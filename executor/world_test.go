package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// A world is a device for tests: what is on its disk and what its steps have
// done to it survive a power cut, everything else does not.
type world struct {
	board
	t       *testing.T
	disk    Record
	boot    int
	puts    int             // in this boot
	cut     cut             // the next one
	trace   []string        // what acted, in order
	effects map[string]bool // what undoable steps have left behind
	finals  int             // commits of a final Record
}

// A cut is a power cut before or after the n-th Put of a boot; n 0 is none.
type cut struct {
	n     int
	after bool
}

func (w *world) Put(r Record) error {
	w.puts++
	if w.cut.n == w.puts && !w.cut.after {
		runtime.Goexit()
	}
	if r.Rev <= w.disk.Rev {
		w.t.Errorf("rev went from %d to %d", w.disk.Rev, r.Rev)
	}
	if w.disk.State.Final() {
		w.t.Errorf("a final Record was written over: %s, now %s", w.disk.State, r.State)
	}
	for i, s := range r.Steps {
		if was := w.disk.Steps[i].State; (was == Succeeded || was == Undone || was == Skipped) && s.State == Running {
			w.t.Errorf("step %d is %s, and begun again", i, was)
		}
	}
	r.Steps = slices.Clone(r.Steps)
	w.disk = r
	if r.State.Final() {
		w.finals++
	}
	if w.cut.n == w.puts && w.cut.after {
		runtime.Goexit()
	}
	return nil
}

// kind is a step of the world. Its parameters are the options of a step in the
// string tables: see job.
type kind struct {
	w    *world
	undo bool
}

type undoKind struct{ kind }

type with struct {
	Fails  int  `json:"fails"`  // so many attempts fail
	Reboot bool `json:"reboot"` // it reboots the device once
	Bomb   bool `json:"bomb"`   // every attempt takes the device down
	Stuck  bool `json:"stuck"`  // its undo fails
	None   bool `json:"none"`   // it has no undo after all
}

func (k kind) Check(json.RawMessage) error { return nil }

func (k kind) Run(ctx context.Context, t *Task) error {
	var p with
	if err := Decode(t.With, &p); err != nil {
		return err
	}
	w := k.w
	w.intent(t)
	w.trace = append(w.trace, t.Step)
	if k.undo {
		w.effects[t.Step] = true
	}
	var saved int
	if _, err := t.Load(&saved); err != nil {
		return err
	}
	switch {
	case p.Bomb:
		w.boot++
		runtime.Goexit()
	case p.Reboot && (saved == 0 || saved == w.boot+1):
		if err := t.SaveBeforeReboot(w.boot + 1); err != nil {
			return err
		}
		w.boot++
		runtime.Goexit()
	case p.Fails > saved:
		if err := t.Save(saved + 1); err != nil {
			return err
		}
		return errors.New("broken")
	}
	return ctx.Err()
}

// intent asserts that a step runs only when that is on disk, and not when it
// was done already.
func (w *world) intent(t *Task) {
	i := slices.IndexFunc(w.disk.Steps, func(s StepRecord) bool { return s.Attempts == t.Attempt && s.State == Running })
	if i < 0 || w.disk.Job.StepAt(i).Name != t.Step {
		w.t.Errorf("%s attempt %d runs, but on disk are %+v", t.Step, t.Attempt, w.disk.Steps)
	}
}

func (k undoKind) Undo(ctx context.Context, t *Task) error {
	var p with
	if err := Decode(t.With, &p); err != nil {
		return err
	}
	k.w.trace = append(k.w.trace, "-"+t.Step)
	if p.None {
		return fmt.Errorf("%s: %w", t.Step, ErrNoUndo)
	}
	if p.Stuck {
		return errors.New("stuck")
	}
	delete(k.w.effects, t.Step)
	return nil
}

// job builds a job from words such as "a b:undo c:fails=2,retry=3 | d": the
// steps, and behind the bar those of onFailure.
func job(text string) Job {
	j := Job{ID: "j"}
	steps := &j.Steps
	for word := range strings.FieldsSeq(text) {
		if word == "|" {
			steps = &j.OnFailure
			continue
		}
		name, opts, _ := strings.Cut(word, ":")
		*steps = append(*steps, stepOf(name, opts, &j))
	}
	return j
}

func stepOf(name, opts string, j *Job) Step {
	s := Step{Name: name, Kind: "plain"}
	var p with
	for opt := range strings.SplitSeq(opts, ",") {
		key, value, _ := strings.Cut(opt, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "undo":
			s.Kind = "undo"
		case "back":
			j.UndoOnFailure = true
		case "fails":
			p.Fails = n
		case "reboot":
			p.Reboot = true
		case "bomb":
			p.Bomb = true
		case "none":
			p.None = true
		case "stuck":
			p.Stuck = true
		case "retry":
			s.Retry.Attempts = n
		case "max":
			s.MaxInterruptions = n
		case "on":
			s.ContinueOnFailure = true
		case "once":
			s.IfInterrupted = Fail
		case "verify":
			s.IfInterrupted, s.Check = Verify, json.RawMessage(`"`+value+`"`)
		}
	}
	s.With, _ = json.Marshal(map[string]any{"fails": p.Fails, "reboot": p.Reboot, "bomb": p.Bomb, "stuck": p.Stuck, "none": p.None})
	return s
}

func newWorld(t *testing.T, j Job) *world {
	text := []byte(fmt.Sprint(j))
	r := Record{Key: "j", ID: "j", Job: j, Text: text, Rev: 1, State: Queued, Steps: make([]StepRecord, j.Total())}
	w := &world{t: t, disk: r, boot: 1, effects: map[string]bool{}}
	w.board.check = func(_ context.Context, c json.RawMessage) error {
		w.trace = append(w.trace, "?")
		if string(c) == `"yes"` {
			return nil
		}
		return errors.New("no")
	}
	return w
}

func (w *world) executor() *Executor {
	return &Executor{
		Kinds:   Kinds{"plain": kind{w: w}, "undo": undoKind{kind{w: w, undo: true}}},
		Journal: w, Device: &w.board, Gate: &w.board, Boot: strconv.Itoa(w.boot),
	}
}

// run boots the device again and again until the job is final. The i-th boot
// is cut at cuts[i]; cancelAt is the boot in which a cancel is there, or 0.
func (w *world) run(cuts []cut, cancelAt int) (boots int) {
	for ; !w.disk.State.Final(); boots++ {
		if boots > 20 {
			w.t.Fatalf("boot loop: %v", w.trace)
		}
		w.puts, w.cut = 0, cut{}
		if boots < len(cuts) {
			w.cut = cuts[boots]
		}
		w.once(cancelAt == boots+1)
	}
	return boots
}

// once runs the job in one boot, on a goroutine that a cut can end.
func (w *world) once(cancelled bool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if cancelled {
		cancel(Cancel{})
	}
	done, x, r := make(chan bool), w.executor(), w.disk
	r.Steps = slices.Clone(r.Steps)
	go func() {
		defer close(done)
		if _, err := x.Run(ctx, r); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	<-done
	synctest.Wait()
}
