package packages

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// What a manager says of a failure begins so.
var telling = regexp.MustCompile(`^(?: \* [a-z_]+: | \* |E: |ERROR: |dpkg: error |dpkg: |\*\*\* )|^(?:Unknown package|Signature check failed|WARNING: (?:updating and )?opening|WARNING: Ignoring|Not upgrading|W: Failed|Package \S+ is a virtual package)|^ +\S.*(?:Depends|Conflicts|Breaks): `)

// prefix is the part of a telling line that tells nothing.
var prefix = regexp.MustCompile(`^(?:\s*\* [a-z_]+: \s*|\s*\* |ERROR: |\*\*\* |\s+)`)

// Lines that follow from another.
var noise = []string{
	"Cannot install package", "These might cease to work", "Force removal of this package", "with --force-removal-of-dependent", "Collected errors",
	"Sub-process /usr/bin/dpkg returned", "Sub-process dpkg returned", "maybe run apt-get update", "Some index files failed", "opkg_install_pkg: Force",
	"Failed to open apk database", "Executing ",
}

const mostReason = 400

// words are what a manager said last. It says some to stdout and some to stderr,
// which arrive in pieces: in one they would break each other's lines.
type words struct{ out, err process.Tail }

func newWords() *words {
	return &words{process.Tail{Most: 8 << 10}, process.Tail{Most: 8 << 10}}
}

// stdout is a writer for that, and to another one too.
func (w *words) stdout(other io.Writer) io.Writer { return io.MultiWriter(&w.out, other) }

// stderr is the same.
func (w *words) stderr(other io.Writer) io.Writer { return io.MultiWriter(&w.err, other) }

// String is what is kept, once all is said.
func (w *words) String() string { return whole(&w.out) + "\n" + whole(&w.err) }

// whole are the lines that are kept whole: the rest of a line may be the end of a secret.
func whole(t *process.Tail) string {
	text := string(t.Last())
	if t.Cut() {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// reason is what of a manager's words tells why it failed, or the last line.
func reason(said *words) string {
	var lines []string
	text := strings.ToValidUTF8(said.String(), "")
	tells, opens := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		tells = telling.MatchString(line) || tells && (strings.HasPrefix(line, "  ") || opens && strings.HasPrefix(line, " "))
		opens = strings.HasSuffix(line, ":")
		if !tells || slices.ContainsFunc(noise, func(s string) bool { return strings.Contains(line, s) }) {
			continue
		}
		line = strings.TrimSpace(strings.Map(redact.Printable, prefix.ReplaceAllString(line, "")))
		if line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return strings.TrimSpace(cmp.Or(said.err.LastLine(), said.out.LastLine()))
	}
	all := strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
	if len(all) > mostReason {
		all = strings.ToValidUTF8(all[:mostReason], "") + "..."
	}
	return all
}

// named puts the manager's name before an error, and behind it what tells why.
func named(argv []string, err error, said *words) error {
	if err == nil {
		return nil
	}
	if why := reason(said); why != "" {
		return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, why)
	}
	return fmt.Errorf("%s: %w", filepath.Base(argv[0]), err)
}

// locked reports whether somebody else runs the manager. One that may not take the
// lock, or has no room for it, never will.
func locked(said string) bool {
	for _, sign := range []string{"Permission denied", "are you root", "Read-only file system", "No space left"} {
		if strings.Contains(said, sign) {
			return false
		}
	}
	return slices.ContainsFunc([]string{
		"Could not lock", "Could not get lock", "Unable to lock", "Unable to acquire the dpkg", "locked by another process",
	}, func(sign string) bool { return strings.Contains(said, sign) })
}

// missing reports whether a reason is that something cannot be had.
func missing(why string) bool {
	return slices.ContainsFunc([]string{
		"Unknown package", "Unable to locate", "no such package", "was not found", "Failed to download", "Failed to fetch", "Cannot satisfy", "no installation candidate", "breaks: world",
	}, func(sign string) bool { return strings.Contains(why, sign) })
}
