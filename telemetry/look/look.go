// Package look is how the agent looks at file systems that are not the board's own. A
// stick that has died, a server that is away or a FUSE program that does not answer lets
// whoever looks wait for good, in the kernel, where no signal reaches. So a child looks, and
// is left behind where it does not answer in time.
//
// It reads no file's content and changes nothing.
package look

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Program is the command line of a Worker, but for the paths. Whoever starts the agent
// sets it before anything else; without it a goroutine looks, which is left behind as well,
// but holds its thread.
var Program []string

// An Answer is what a look at one path found.
type Answer struct {
	Dir        bool   `json:"dir,omitempty"`    // else it is no directory
	Absent     bool   `json:"absent,omitempty"` // nothing is there
	Err        string `json:"err,omitempty"`    // why it could not be looked at
	Total      uint64 `json:"total"`            // bytes of the file system
	Free       uint64 `json:"free"`             // for programs that are not root
	Used       uint64 `json:"used"`
	Inodes     uint64 `json:"inodes"`
	InodesFree uint64 `json:"inodesFree"`

	hangs bool // for as long as any may take
	late  bool // for whoever asked
}

// Error is why there is no answer, or nil. It is ErrHangs where nothing came in time.
func (a Answer) Error() error {
	switch {
	case a.hangs || a.late:
		return fmt.Errorf("%s: %w", a.Err, ErrHangs)
	case a.Err != "":
		return errors.New(a.Err)
	}
	return nil
}

// ErrHangs is a file system that does not answer.
var ErrHangs = errors.New("its file system does not answer: is a disk or a server gone? Unmount it (umount -l) or bring it back")

const (
	limit = 8 * time.Second  // of one path; a good disk that sleeps takes a few
	again = time.Minute      // until one that hung is asked once more
	kept  = 10 * time.Second // for which one that answered is believed to
	most  = 16               // workers at a time, those included that cannot be ended
)

// At looks at paths, one after another. It returns when ctx ends at the latest; what has
// not answered by then hangs.
func At(ctx context.Context, paths ...string) []Answer {
	answers := make([]Answer, 0, len(paths))
	for len(answers) < len(paths) {
		rest := paths[len(answers):]
		if past.hung(rest[0]) || past.hung(mountOf(rest[0])) {
			answers = append(answers, Answer{hangs: true, Err: rest[0]})
			continue
		}
		some := ask(ctx, rest)
		for i, a := range some {
			past.note(rest[i], a)
			if a.hangs {
				past.note(mountOf(rest[i]), a)
			}
		}
		answers = append(answers, some...)
	}
	return answers
}

// ask is At with one worker; the last answer may be that of a path that hangs.
func ask(ctx context.Context, paths []string) (answers []Answer) {
	lines, end, err := begin(paths)
	if err != nil {
		return []Answer{{Err: fmt.Sprintf("looking at %s: %v", paths[0], err)}}
	}
	defer func() { end(answers[len(answers)-1]) }()
	for {
		timer := time.NewTimer(limit)
		select {
		case a, ok := <-lines:
			timer.Stop()
			if !ok {
				answers = append(answers, Answer{Err: fmt.Sprintf("looking at %s: the child that looked has died", paths[len(answers)])})
			} else {
				answers = append(answers, a)
			}
			if !ok || len(answers) == len(paths) {
				return answers
			}
		case <-ctx.Done():
			timer.Stop()
			return append(answers, Answer{late: true, Err: paths[len(answers)]})
		case <-timer.C:
			return append(answers, Answer{hangs: true, Err: paths[len(answers)]})
		}
	}
}

// begin lets a worker look. end leaves it to itself: nobody waits for it but a goroutine that
// takes its exit status. Where it is not done it counts for the mount that holds it.
func begin(paths []string) (lines chan Answer, end func(last Answer), err error) {
	if Program == nil {
		lines, end = here(paths)
		return lines, end, nil
	}
	if workers.Add(1) > most {
		workers.Add(-1)
		return nil, nil, errors.New("too many looks at other file systems do not come to an end")
	}
	out, in, err := os.Pipe()
	if err != nil {
		workers.Add(-1)
		return nil, nil, err
	}
	cmd := exec.Command(Program[0], append(Program[1:len(Program):len(Program)], paths...)...)
	cmd.Args[0] = os.Args[0] // a program may have several names
	// What it inherits it keeps for as long as it hangs: nothing but the pipe.
	cmd.Stdout, cmd.Env, cmd.Dir = in, []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = in.Close()
	if err != nil { // where no child can be had, a thread that may hang is better than no answer
		workers.Add(-1)
		_ = out.Close()
		lines, end = here(paths)
		return lines, end, nil
	}
	lines = make(chan Answer, len(paths))
	go func() {
		defer close(lines)
		for rows := bufio.NewScanner(out); rows.Scan(); {
			var a Answer
			if json.Unmarshal(rows.Bytes(), &a) != nil {
				return
			}
			lines <- a
		}
	}()
	return lines, func(last Answer) {
		_ = cmd.Process.Kill()
		_ = out.Close()
		on, held := "", 0
		if errors.Is(last.Error(), ErrHangs) {
			on, held = mountOf(last.Err), 1
		}
		past.hold(on, held)
		go func() {
			_ = cmd.Wait()
			past.hold(on, -held)
			workers.Add(-1)
		}()
	}, nil
}

// here has a goroutine look.
func here(paths []string) (lines chan Answer, end func(Answer)) {
	lines = make(chan Answer, len(paths))
	go func() {
		defer close(lines)
		for _, path := range paths {
			lines <- answerOf(path)
		}
	}()
	return lines, func(Answer) {}
}

// workers are those that have not ended.
var workers atomic.Int64

// A memory is what is known of paths that were looked at.
type memory struct {
	mu   sync.Mutex
	bad  map[string]time.Time // that hung, and when
	good map[string]time.Time // that answered
	held map[string]int       // workers that have not ended, by mount
}

var past memory

const (
	remembered = 256 // paths of each sort
	mostHeld   = 2   // by one mount; with more it would keep the workers from all others
)

func (m *memory) hung(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.bad[path]
	return ok && time.Since(at) < again || m.held[path] >= mostHeld
}

// hold counts workers that a mount begins to hold, or holds no more.
func (m *memory) hold(mount string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]int{}
	}
	if m.held[mount] += n; m.held[mount] == 0 {
		delete(m.held, mount)
	}
}

func (m *memory) answered(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.good[path]
	return ok && time.Since(at) < kept
}

func (m *memory) note(path string, a Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.bad)+len(m.good) > remembered || m.bad == nil {
		m.bad, m.good = map[string]time.Time{}, map[string]time.Time{}
	}
	delete(m.bad, path)
	delete(m.good, path)
	if a.hangs {
		m.bad[path] = time.Now()
	} else if !a.late {
		m.good[path] = time.Now()
	}
}

// Enter says, as ErrHangs, that the directory at path must not be entered now, or nil. It
// asks only where another file system begins that may hang, and not again for
// a while.
func Enter(path string) error {
	if !mayHang(path) || past.answered(path) {
		return nil
	}
	if err := At(context.Background(), path)[0].Error(); errors.Is(err, ErrHangs) {
		return err
	}
	return nil
}
