package diagnostic

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/inputs"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// collectWith asks for a bundle: a tar.gz of files and of what commands say.
type collectWith struct {
	Files    []string      `json:"files"`    // globs
	Commands [][]string    `json:"commands"` // argv each; "dmesg" alone needs no program
	To       string        `json:"to"`
	MaxBytes executor.Size `json:"maxBytes"` // of the bundle, as it lies on the disk
}

const (
	bundleSize  = 1 << 20 // unless the step says otherwise
	minBundle   = 64 << 10
	maxBundle   = 64 << 20
	maxEntry    = 1 << 20 // what is kept of one file or output, and held in memory
	maxCommands = 32
	maxFiles    = 256
)

// collectTimeout bounds one command. Only a test changes it.
var collectTimeout = 30 * time.Second

func (w collectWith) check() error {
	if err := safefile.CheckPath(w.To); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	switch {
	case len(w.Files) > inputs.MaxGlobs:
		return fmt.Errorf("files: %d patterns, want at most %d", len(w.Files), inputs.MaxGlobs)
	case len(w.Commands) > maxCommands:
		return fmt.Errorf("commands: %d of them, want at most %d", len(w.Commands), maxCommands)
	case w.MaxBytes != 0 && (w.MaxBytes < minBundle || w.MaxBytes > maxBundle):
		return fmt.Errorf("maxBytes: %d: want 64KiB to 64MiB", w.MaxBytes)
	}
	for i, pattern := range w.Files {
		if _, err := filepath.Match(pattern, ""); err != nil || safefile.CheckAnyPath(pattern) != nil {
			return fmt.Errorf("files[%d]: %q: want an absolute path, with *, ? and [a-z] for many", i, pattern)
		}
	}
	for i, argv := range w.Commands {
		if err := process.CheckArgv(argv); err != nil {
			return fmt.Errorf("commands[%d]: %w", i, err)
		}
	}
	return nil
}

// collect durably writes the bundle. What cannot be had is noted in the
// bundle's index and fails nothing: a sick device must still give what it can.
func (k Kind) collect(ctx context.Context, w collectWith, results []check.Result) error {
	var err error
	if w.To, err = k.room(w.To); err != nil {
		return fmt.Errorf("collecting: %w", err)
	}
	temp := safefile.Beside(w.To, "new")
	err = k.fill(ctx, temp, w, results)
	if err == nil {
		err = k.Files.Install(temp, w.To, safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("collecting into %s: %w", w.To, err), k.Files.RemoveDurably(temp))
	}
	return nil
}

// room makes the bundle's directory, and returns where the bundle comes.
func (k Kind) room(to string) (string, error) {
	real, err := k.Policy.ToWrite(to)
	if err == nil {
		_, err = safefile.Stat(real)
	}
	if err == nil {
		err = k.Files.MakeTree(filepath.Dir(real), 0o755)
	}
	return real, err
}

func (k Kind) fill(ctx context.Context, temp string, w collectWith, results []check.Result) error {
	file, err := k.Files.Create(temp)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(&policy.Writer{W: file, Dir: filepath.Dir(temp), Policy: k.Policy}, 64<<10)
	b := newBundle(buffer, cmp.Or(int64(w.MaxBytes), bundleSize), k.Mask)
	err = b.add("checks.json", time.Time{}, encodeWithin(results, 512, 64), false)
	for i := 0; i < len(w.Commands) && err == nil; i++ {
		err = k.addCommand(ctx, b, i, w.Commands[i])
	}
	if err == nil {
		err = k.addFiles(ctx, b, w)
	}
	if err == nil {
		err = b.Close()
	}
	if err == nil {
		err = buffer.Flush()
	}
	return errors.Join(err, file.Close())
}

// addCommand adds what a command says. Its failure is part of the picture.
func (k Kind) addCommand(parent context.Context, b *bundle, i int, argv []string) error {
	ctx, cancel := context.WithTimeoutCause(parent, collectTimeout, fmt.Errorf("took longer than %s", collectTimeout))
	defer cancel()
	name := fmt.Sprintf("commands/%02d-%s.txt", i+1, safeName(filepath.Base(argv[0])))
	said := process.Tail{Most: maxEntry + maxSecret}
	err := k.say(ctx, argv, &said)
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	if err != nil {
		b.addLine("%s: %v", name, err)
	}
	return b.add(name, time.Time{}, said.Last(), said.Cut())
}

func (k Kind) say(ctx context.Context, argv []string, out *process.Tail) error {
	if len(argv) == 1 && argv[0] == "dmesg" {
		return kernelLog(out)
	}
	status, err := k.Checker.Execute(ctx, argv, out)
	if err != nil {
		return err
	}
	return process.Judge(status, []int{0})
}

// kernelLog reads the kernel's ring buffer as dmesg does.
func kernelLog(out *process.Tail) error {
	const readAll, size = 3, 10
	n, err := syscall.Klogctl(size, nil)
	if err != nil {
		return os.NewSyscallError("reading the kernel's log", err)
	}
	buf := make([]byte, min(n, maxEntry))
	if n, err = syscall.Klogctl(readAll, buf); err != nil {
		return os.NewSyscallError("reading the kernel's log", err)
	}
	_, err = out.Write(buf[:n])
	return err
}

// addFiles adds what matches the patterns, but for the bundle itself.
func (k Kind) addFiles(ctx context.Context, b *bundle, w collectWith) error {
	for _, path := range b.matching(w.Files) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if path == w.To || path == safefile.Beside(w.To, "new") {
			continue
		}
		if err := k.addFile(b, path); err != nil {
			return err
		}
	}
	return nil
}

// matching lists what matches, each once, in the order of the patterns.
func (b *bundle) matching(patterns []string) []string {
	var paths []string
	seen := map[string]bool{}
	for _, pattern := range patterns {
		found, all, err := inputs.Match(pattern, maxFiles-len(paths))
		switch {
		case err != nil:
			b.addLine("%s: %v", pattern, err)
		case !all:
			b.addLine("%s: matches too much: %d files are here, at most %d in all", pattern, len(found), maxFiles)
		case len(found) == 0:
			b.addLine("%s: matches nothing", pattern)
		}
		for _, path := range found {
			if !seen[path] {
				paths = append(paths, path)
			}
			seen[path] = true
		}
	}
	return paths
}

func (k Kind) addFile(b *bundle, path string) error {
	name := "files" + safePath(path)
	real, err := k.Policy.ToRead(path)
	if err != nil {
		b.addLine("%s: %v", name, err)
		return nil
	}
	text, changed, cut, err := readEnd(real, maxEntry+maxSecret)
	if err != nil {
		b.addLine("%s: %v", name, err)
		return nil
	}
	return b.add(name, changed, text, cut)
}
