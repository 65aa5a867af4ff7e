package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A Board is where firmware is written.
type Board struct {
	Root   string // before the path of every file that is read; empty is the real board
	Script string // the owner's own backend; it is used when it exists
	Dir    string // where the owner's backend may keep what must outlive a boot; empty is nowhere

	// Run runs one of the board's programs in a process group of its own and blocks
	// until it or ctx ends. An error says that it did not run or was killed.
	Run func(ctx context.Context, c Call) (Answer, error)
}

// A Call is one run of a program.
type Call struct {
	Argv   []string
	Env    map[string]string
	Stdin  io.Reader         // nil is nothing
	Line   func(line string) // nil, or called with every line that it writes
	Detach bool              // it ends the agent: it must live on, and its end says nothing
	Begins string            // of one that is detached: what it says when that is so; empty is from the start
}

// An Answer is how a program ended.
type Answer struct {
	Out, Said string // all of stdout, at most MaxAnswer; the last line of stderr, or of stdout where that is empty
	Err       string // the beginning of stderr
	Code      int
}

// MaxAnswer is how much of what a program writes is kept, in bytes.
const MaxAnswer = 256 << 10

// Searched are the directories in which programs are looked for.
var Searched = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// program is the path of the board's program of that name, or empty.
func (b *Board) program(name string) string {
	for _, dir := range Searched {
		if path := filepath.Join(b.Root, dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (b *Board) has(path string) bool {
	_, err := os.Stat(filepath.Join(b.Root, path))
	return err == nil
}

// do runs a program. A status other than 0 is an error.
func (b *Board) do(ctx context.Context, c Call) (string, error) {
	if b.Run == nil {
		return "", errors.New("this board can run nothing")
	}
	a, err := b.Run(ctx, c)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("exit status %d", a.Code)
	}
	if err == nil {
		return a.Out, nil
	}
	if a.Said != "" {
		err = fmt.Errorf("%w: %s", err, a.Said)
	}
	return a.Out, fmt.Errorf("%s: %w", filepath.Base(c.Argv[0]), err)
}

func (b *Board) ask(ctx context.Context, argv ...string) (string, error) {
	return b.do(ctx, Call{Argv: argv})
}

var percents = regexp.MustCompile(`\b(\d{1,3})%`)

// percent calls progress where a line that a program wrote says how far it is.
func percent(line string, progress func(float64)) {
	if m := percents.FindStringSubmatch(line); m != nil && progress != nil {
		n, _ := strconv.Atoi(m[1]) // it is digits
		progress(min(float64(n)/100, 1))
	}
}

func (b *Board) glob(pattern string) (list []string) {
	found, _ := filepath.Glob(filepath.Join(b.Root, pattern)) // the patterns are good
	for _, f := range found {
		list = append(list, strings.TrimPrefix(f, strings.TrimSuffix(b.Root, "/")))
	}
	return list
}

// files are the regular files and links at and below the paths.
func (b *Board) files(paths []string) (list []string) {
	for _, path := range paths {
		_ = filepath.WalkDir(filepath.Join(b.Root, path), func(file string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Type()&(os.ModeSocket|os.ModeNamedPipe) == 0 {
				list = append(list, strings.TrimPrefix(file, strings.TrimSuffix(b.Root, "/")))
			}
			return nil // sysupgrade misses what cannot be read as well
		})
	}
	return list
}

func (b *Board) size(paths []string) (sum int64) {
	for _, f := range b.files(paths) {
		if info, err := os.Stat(filepath.Join(b.Root, f)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}
