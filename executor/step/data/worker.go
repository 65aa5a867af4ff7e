package data

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/executor/step/data/aggregate"
	"github.com/ratchetd/ratchet/executor/step/inputs"
)

// WorkerArg is the first argument with which the agent's own program is
// DataWorker and nothing else.
const WorkerArg = "data-worker"

// dataTask is what a worker gets on its standard input.
type dataTask struct {
	Program string        `json:"program,omitempty"` // empty: the records as they are
	Format  string        `json:"format"`
	Files   []inputs.File `json:"files"`
	MaxLine int           `json:"maxLine,omitempty"` // 0 is without limit

	Delimiter string          `json:"delimiter,omitempty"`
	Aggregate *aggregate.Spec `json:"aggregate,omitempty"` // of what comes out
}

// dataReport is a line that a worker writes to its standard error. What is no
// such line is the last word of a Go program that dies.
type dataReport struct {
	Read       int64  `json:"read"` // bytes of the inputs
	Records    int64  `json:"records"`
	Values     int64  `json:"values"`
	Missing    int64  `json:"missing,omitempty"` // values that aggregate passed over, as there were none
	NotNumbers int64  `json:"notNumbers,omitempty"`
	Done       bool   `json:"done,omitempty"`
	Error      string `json:"error,omitempty"`
}

// Worker is the process in which a data step's program runs. It takes its
// task from stdin, writes values to stdout, one a line, and reports to stderr.
// It bounds its own memory, and with it all that a program can do to the
// device besides taking time, which its parent bounds.
func Worker(stdin io.Reader, stdout, stderr io.Writer) int {
	signal.Reset() // the agent's program has made itself deaf to SIGTERM
	w := worker{out: bufio.NewWriterSize(stdout, 64<<10), reports: json.NewEncoder(stderr)}
	err := confine(func() {
		_ = w.reports.Encode(dataReport{Error: errMemory.Error()})
		os.Exit(1)
	})
	if err == nil {
		err = w.work(stdin)
	}
	w.report.Done = err == nil
	if err != nil {
		w.report.Error = err.Error()
	}
	if w.say() != nil || err != nil {
		return 1
	}
	return 0
}

// worker is the work on one task.
type worker struct {
	task    dataTask
	records records
	groups  *aggregate.Groups // nil: each value is a line
	out     *bufio.Writer
	reports *json.Encoder
	report  dataReport
	due     time.Time // when the next report on how far it is
	own     error     // that is not the program's
}

func (w *worker) work(stdin io.Reader) error {
	if err := json.NewDecoder(stdin).Decode(&w.task); err != nil {
		return fmt.Errorf("reading the task: %w", err)
	}
	w.records = records{format: w.task.Format, delimiter: w.task.Delimiter, files: w.task.Files, tell: w.progress}
	var err error
	if spec := w.task.Aggregate; spec != nil {
		if w.groups, err = spec.New(w.task.Format == "csv"); err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
	}
	if w.task.Program == "" {
		err = w.group()
	} else {
		err = w.run()
	}
	if err == nil && w.groups != nil {
		err = w.groups.Lines(w.emit)
	}
	if err != nil {
		return err
	}
	return w.out.Flush()
}

// run puts the records through the program.
func (w *worker) run() error {
	p, err := jq.CompileProgram(w.task.Program, func() (v any, err error) {
		v, err = w.records.next()
		w.own = err
		return v, err
	})
	if err != nil {
		return fmt.Errorf("jq: %w", err)
	}
	w.records.json = p.NewReader()
	if w.groups != nil {
		err = p.Values(w.add)
	} else {
		err = p.Run(w.emit)
	}
	if err != nil && err != w.own {
		return w.placed("jq", err)
	}
	return err
}

// group gives the records as they are to the groups.
func (w *worker) group() error {
	w.records.json = jq.ReaderOf(w.groups.Paths())
	for {
		v, err := w.records.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = w.add(v)
		}
		if err != nil {
			return err
		}
	}
}

func (w *worker) add(v any) error {
	if w.own = w.groups.Add(v); w.own != nil {
		w.own = w.placed("aggregate", w.own)
	}
	return w.own
}

// placed says at which record something failed.
func (w *worker) placed(what string, err error) error {
	if w.records.count == 0 {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w (it had read up to %s)", what, err, w.records.where())
}

func (w *worker) emit(value []byte) error {
	if most := w.task.MaxLine; most > 0 && len(value) >= most {
		w.own = fmt.Errorf("a value of %d bytes is too long to be published: at most %d are taken", len(value), most-1)
		return w.own
	}
	w.report.Values++
	_, w.own = w.out.Write(append(value, '\n'))
	return w.own
}

// progress says how far the reading is, twice a second.
func (w *worker) progress() {
	if now := time.Now(); now.After(w.due) {
		w.due = now.Add(500 * time.Millisecond)
		_ = w.say() // without the parent there is an error at the next value
	}
}

func (w *worker) say() error {
	w.report.Read, w.report.Records = w.records.bytes, w.records.count
	if g := w.groups; g != nil {
		w.report.Missing, w.report.NotNumbers = g.Missing, g.NotNumbers
	}
	return w.reports.Encode(w.report)
}
