package data

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// compute lets a worker put the inputs through the program, and writes what
// comes out to temp.
func (s *processing) compute(ctx context.Context, temp string) (dataReport, error) {
	task := dataTask{Program: s.with.JQ, Format: s.with.Format, Delimiter: s.with.Delimiter, Files: s.files, Aggregate: s.with.Aggregate}
	if s.with.Publish {
		task.MaxLine = MaxPublish
	}
	file, err := s.Files.Create(temp)
	if err != nil {
		return dataReport{}, err
	}
	sum, err := s.work(ctx, task, &policy.Writer{W: file, Dir: filepath.Dir(temp), Policy: s.Policy})
	return sum, errors.Join(err, file.Close())
}

// notOutput refuses an input that is the output by another name.
func (s *processing) notOutput() error {
	out, err := os.Stat(s.path)
	if err != nil {
		return nil
	}
	for _, f := range s.files {
		if info, err := os.Stat(f.Real); err == nil && os.SameFile(info, out) {
			return fmt.Errorf("inputs: %s is the output, which a second run would read: write it elsewhere", f.Path)
		}
	}
	return nil
}

// work runs a worker to its end and writes its values to out.
func (s *processing) work(ctx context.Context, task dataTask, out io.Writer) (dataReport, error) {
	stdin, err := json.Marshal(task)
	if err != nil {
		return dataReport{}, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return dataReport{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	said := &reports{tell: s.progress()}
	p := process.Program{Argv: s.worker(), Env: []string{}, Stdin: string(stdin), Stdout: w, Stderr: said, Groups: s.Groups, Log: s.t.Log}
	var died error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		status, err := p.Run(ctx)
		w.Close() // the last of the writing ends: now the reader sees an end
		died = said.judge(status, err)
	}()
	defer func() { // also when a write panics, as the suite's do
		cancel()
		r.Close()
		<-ended
	}()
	if _, err := io.CopyBuffer(out, struct{ io.Reader }{r}, make([]byte, 64<<10)); err != nil {
		return dataReport{}, err
	}
	<-ended
	return said.last, died
}

func (s *processing) worker() []string {
	if len(s.Worker) > 0 {
		return s.Worker
	}
	return []string{"/proc/self/exe", WorkerArg} // not its path: there another version may lie by now
}

func (s *processing) progress() func(read int64) {
	total := int64(1)
	for _, f := range s.files {
		total += f.Size
	}
	return func(read int64) { s.t.Progress(float64(read) / float64(total)) }
}

// reports takes what a worker says on its standard error.
type reports struct {
	tell func(read int64)
	line []byte
	last dataReport
	rest []byte // the beginning of what is no report
}

func (r *reports) Write(p []byte) (int, error) {
	for part := range bytes.Lines(p) {
		r.line = append(r.line, part...)
		if part[len(part)-1] != '\n' && len(r.line) < 16<<10 {
			continue
		}
		if err := json.Unmarshal(r.line, &r.last); err == nil {
			r.tell(r.last.Read)
		} else {
			r.rest = append(r.rest, r.line[:min(len(r.line), 1<<10-len(r.rest))]...)
		}
		r.line = r.line[:0]
	}
	return len(p), nil
}

// judge says what became of a worker that has ended.
func (r *reports) judge(status syscall.WaitStatus, err error) error {
	crash := string(r.rest)
	switch {
	case r.last.Done && status.Exited() && status.ExitStatus() == 0:
		return nil
	case err != nil:
		return err
	case r.last.Error != "":
		return errors.New(r.last.Error)
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return errors.New("the program was killed, as the kernel does when the device is short of memory")
	case slices.ContainsFunc(outOfMemory, func(s string) bool { return strings.Contains(crash, s) }):
		return errMemory
	}
	return fmt.Errorf("the worker died: %w: %s", process.Judge(status, nil), redact.Clip(crash, 256))
}

// outOfMemory is how the Go runtime dies of a refusal of the kernel: the thread
// that was refused says so, unless another one first stumbles over what it did
// not get.
var outOfMemory = []string{
	"out of memory", "cannot allocate memory", "stack overflow", "SIGSEGV", "failed to create new OS thread", "pthread_create failed",
}

// lastLine is the length of the whole lines in text.
func lastLine(text []byte) int { return bytes.LastIndexByte(text, '\n') + 1 }
