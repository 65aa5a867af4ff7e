package diagnostic

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

const (
	maxSecret = 4 << 10 // the longest that is masked whole where a text is cut
	maxIndex  = 8 << 10
	maxName   = 1 << 10
	frame     = 4 << 10 // what an entry takes besides its text
)

// bundle is a tar.gz that never outgrows its bound: an entry gets in full, with
// its end, or not at all, by the room that is left should nothing compress.
type bundle struct {
	out   *counter
	gzip  *gzip.Writer
	tar   *tar.Writer
	most  int64
	mask  func([]byte) []byte
	index bytes.Buffer
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func newBundle(w io.Writer, most int64, mask func([]byte) []byte) *bundle {
	b := &bundle{out: &counter{w: w}, mask: mask}
	b.most = most - most/1024 - maxIndex - 2*frame // what cannot be compressed grows a little
	b.gzip = gzip.NewWriter(b.out)
	b.tar = tar.NewWriter(b.gzip)
	return b
}

// add puts a text in; cut says that its beginning is missing already.
func (b *bundle) add(name string, changed time.Time, text []byte, cut bool) error {
	name = string(b.masked([]byte(name)))
	text, cut = b.clean(text, cut)
	room := min(b.most-b.out.n-frame, maxEntry)
	switch {
	case room <= 0:
		b.addLine("%s: left out: the bundle is full", name)
		return nil
	case len(name) > maxName:
		b.addLine("%s: left out: its name is too long", name)
		return nil
	}
	if over := int64(len(text)) - room; over > 0 {
		text, cut = text[over:], true
	}
	if cut {
		b.addLine("%s: only the last %d bytes are here", name, len(text))
	}
	return b.entry(name, changed, text)
}

// clean masks secrets. Where a text was cut a secret may have lost its
// beginning and not be known for one, so there the next bytes go too.
func (b *bundle) clean(text []byte, cut bool) ([]byte, bool) {
	text = b.masked(text)
	if cut {
		text = text[min(maxSecret, len(text)):]
	}
	return text, cut
}

func (b *bundle) masked(text []byte) []byte {
	if b.mask == nil {
		return text
	}
	return b.mask(text)
}

func (b *bundle) entry(name string, changed time.Time, text []byte) error {
	header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: changed}
	if err := b.tar.WriteHeader(header); err != nil {
		return err
	}
	if _, err := b.tar.Write(text); err != nil {
		return err
	}
	if err := b.tar.Flush(); err != nil {
		return err
	}
	return b.gzip.Flush() // so that out knows how much it takes
}

// addLine adds a line to the index of what is not, or not wholly, there.
func (b *bundle) addLine(format string, args ...any) {
	line := strings.Map(redact.Printable, redact.Clip(string(b.masked(fmt.Appendf(nil, format, args...))), 512))
	if b.index.Len()+len(line) < maxIndex {
		b.index.WriteString(line + "\n")
	}
}

// Close writes the index and the end.
func (b *bundle) Close() error {
	return errors.Join(b.entry("index.txt", time.Time{}, b.index.Bytes()), b.tar.Close(), b.gzip.Close())
}

// readEnd reads a regular file, or the end of one that is longer than most.
func readEnd(path string, most int64) (text []byte, changed time.Time, cut bool, err error) {
	if _, err := safefile.Stat(path); err != nil { // to open a device can act: a watchdog begins to count
		return nil, changed, false, err
	}
	file, err := safefile.Open(path)
	if err != nil {
		return nil, changed, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, changed, false, err
	}
	if cut = info.Size() > most; cut {
		if _, err := file.Seek(info.Size()-most, io.SeekStart); err != nil {
			return nil, changed, false, err
		}
	}
	text, err = io.ReadAll(io.LimitReader(file, most)) // sizes in /sys are not to be believed
	return text, info.ModTime(), cut, err
}

// safePath is an absolute path, with what could harm whoever unpacks or lists it replaced.
func safePath(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = safeName(parts[i])
	}
	return strings.Join(parts, "/")
}

func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
}
