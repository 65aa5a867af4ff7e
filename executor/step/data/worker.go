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
	"github.com/ratchetd/ratchet/executor/step/inputs"
)

// WorkerArg is the first argument with which the agent's own program is
// DataWorker and nothing else.
const WorkerArg = "data-worker"

// dataTask is what a worker gets on its standard input.
type dataTask struct {
	Program string        `json:"program"`
	Format  string        `json:"format"`
	Files   []inputs.File `json:"files"`
	MaxLine int           `json:"maxLine,omitempty"` // 0 is without limit

	Delimiter string `json:"delimiter,omitempty"`
}

// dataReport is a line that a worker writes to its standard error. What is no
// such line is the last word of a Go program that dies.
type dataReport struct {
	Read    int64  `json:"read"` // bytes of the inputs
	Records int64  `json:"records"`
	Values  int64  `json:"values"`
	Done    bool   `json:"done,omitempty"`
	Error   string `json:"error,omitempty"`
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
	p, err := jq.CompileProgram(w.task.Program, func() (v any, err error) {
		v, err = w.records.next()
		w.own = err
		return v, err
	})
	if err != nil {
		return fmt.Errorf("jq: %w", err)
	}
	w.records.json = p.NewReader()
	if err := p.Run(w.emit); err != nil {
		return w.placed(err)
	}
	return w.out.Flush()
}

// placed says at which record the program failed.
func (w *worker) placed(err error) error {
	switch {
	case err == w.own:
		return err
	case w.records.count == 0:
		return fmt.Errorf("jq: %w", err)
	}
	return fmt.Errorf("jq: %w (it had read up to %s)", err, w.records.where())
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
	return w.reports.Encode(w.report)
}
