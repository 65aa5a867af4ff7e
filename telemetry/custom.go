package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	customFiles = 32       // that are read, in order of name
	customBytes = 64 << 10 // of one of them
	customDepth = 32       // to which it may be nested
	customPass  = 30 * time.Second
)

// Custom are the facts that the owner of a device adds: JSON files, and
// executables that print JSON, in one directory. Each fact is named by its
// file, without the dot and what follows it. What cannot be read is left out, and
// that is logged once, until it can be read again.
type Custom struct {
	Dir string
	Log *slog.Logger // nil is silent
	// Owned says why others could put another program in the place of this one, or
	// nil. It is asked beside what a look at the file itself tells; nil is not asked.
	Owned func(path string) error

	first sync.Once
	known atomic.Pointer[map[string]json.RawMessage]
	mu    sync.Mutex      // of one Refresh
	named map[string]bool // files whose failure is in the log

	failing atomic.Pointer[[]string]
}

// Facts are those read last. The first call reads them.
func (c *Custom) Facts(ctx context.Context) map[string]json.RawMessage {
	c.first.Do(func() { c.Refresh(ctx) })
	return *c.known.Load()
}

// Refresh reads the facts again and runs the executables, for half a minute at most.
// How often is the caller's business.
func (c *Custom) Refresh(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, customPass, fmt.Errorf("all together took more than %s", customPass))
	defer cancel()
	facts, failed := map[string]json.RawMessage{}, map[string]bool{}
	entries, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.leaveOut(failed, c.Dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // an editor's, or one that is still being written
		}
		name, text, err := c.read(ctx, e.Name())
		if err == nil && len(facts) == customFiles {
			err = fmt.Errorf("at most %d are taken", customFiles)
		}
		if err != nil {
			c.leaveOut(failed, e.Name(), err)
			continue
		}
		facts[name] = text
	}
	c.named = failed
	failing := slices.Sorted(maps.Keys(failed))
	c.failing.Store(&failing)
	c.known.Store(&facts)
}

// Failing names the files that gave no fact the last time; empty where all did.
func (c *Custom) Failing() string {
	failing := c.failing.Load()
	if failing == nil || len(*failing) == 0 {
		return ""
	}
	return "custom facts " + strings.Join(*failing, ", ")
}

func (c *Custom) leaveOut(failed map[string]bool, file string, err error) {
	failed[file] = true
	if !c.named[file] && c.Log != nil {
		c.Log.Warn("a custom fact is left out", "file", file, "err", err)
	}
}

var customName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// read is the fact that one file gives.
func (c *Custom) read(ctx context.Context, file string) (name string, text []byte, err error) {
	name = strings.TrimSuffix(file, filepath.Ext(file))
	path := filepath.Join(c.Dir, file)
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !customName.MatchString(name):
		err = errors.New("its name, up to the dot, is to be 1 to 64 of A-Z a-z 0-9 _ -")
	case !info.Mode().IsRegular():
		err = errors.New("it is no file")
	case filepath.Ext(file) == ".json":
		text, err = readBounded(path)
	case info.Mode()&0o111 == 0:
		err = errors.New("it is neither called .json nor executable")
	case info.Mode()&0o022 != 0:
		err = fmt.Errorf("others may write it, so it is not run: run chmod go-w %s", path)
	case !ours(info):
		err = fmt.Errorf("it belongs to another user, so it is not run: run chown root %s", path)
	default:
		text, err = c.run(ctx, path)
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // some editors put a byte order mark before it
	if err == nil {
		err = wellFormed(text)
	}
	return name, text, err
}

// run runs a program for a fact, where nobody else could have put it there.
func (c *Custom) run(ctx context.Context, path string) ([]byte, error) {
	if c.Owned != nil {
		if err := c.Owned(path); err != nil {
			return nil, fmt.Errorf("it is not run: %w", err)
		}
	}
	return runForFact(ctx, path)
}

// ours reports whether a file belongs to root or to the agent's own user.
func ours(info fs.FileInfo) bool {
	uid := info.Sys().(*syscall.Stat_t).Uid
	return uid == 0 || uid == uint32(os.Geteuid())
}

func readBounded(path string) ([]byte, error) {
	// A file that has become a pipe since must not hold the agent.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var text boundedText
	_, err = io.Copy(&text, f)
	return text.text, err
}

// A boundedText is a buffer that takes no more than a fact may have.
type boundedText struct {
	text []byte
	full bool
}

var errTooLong = fmt.Errorf("it has more than %d bytes", customBytes)

// Write refuses what would be too much.
func (b *boundedText) Write(p []byte) (int, error) {
	if b.full = b.full || len(b.text)+len(p) > customBytes; b.full {
		return 0, errTooLong
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// wellFormed refuses what is no JSON, or nested deeper than others can take it.
func wellFormed(text []byte) error {
	if !utf8.Valid(text) || !json.Valid(text) {
		return errors.New("it is no JSON")
	}
	depth := 0
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		token, err := dec.Token()
		if err != nil { // the end: it is valid
			return nil
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > customDepth {
			return fmt.Errorf("it is nested more than %d deep", customDepth)
		}
	}
}
