// Package filespec is what a step says of a file that is to be: where it lies, what
// it holds, its mode and owner. The kinds file and config take the same words.
package filespec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// A Spec is what a file is to be, as a step gives it.
type Spec struct {
	Path    string         `json:"path"`
	Content *executor.Text `json:"content"`
	Base64  *string        `json:"base64"`
	From    string         `json:"from"`
	Absent  bool           `json:"absent"`
	Mode    string         `json:"mode"`
	Owner   string         `json:"owner"`
}

// Parse reads a file as a step gives it; its errors name the field.
func Parse(with json.RawMessage) (w Spec, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := safefile.CheckPath(w.Path); err != nil {
		return w, fmt.Errorf("path: %w", err)
	}
	sources := 0
	for _, given := range []bool{w.Content != nil, w.Base64 != nil, w.From != "", w.Absent} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return w, errors.New("want exactly one of content, base64, from and absent")
	case w.Absent && w.Mode+w.Owner != "":
		return w, errors.New("absent: goes without mode and owner")
	case w.Base64 != nil:
		_, err = base64.StdEncoding.DecodeString(*w.Base64)
	case w.From != "":
		err = safefile.CheckPath(w.From)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", w.source(), err)
	}
	return w, safefile.CheckAttrs(w.Mode, w.Owner)
}

func (w *Spec) source() string {
	if w.Base64 != nil {
		return "base64"
	}
	return "from"
}

// Open opens the content that the file shall have.
func (w *Spec) Open(p policy.Policy) (io.ReadCloser, error) {
	switch {
	case w.Content != nil:
		return io.NopCloser(strings.NewReader(w.Content.S)), nil
	case w.Base64 != nil:
		return io.NopCloser(base64.NewDecoder(base64.StdEncoding, strings.NewReader(*w.Base64))), nil
	}
	real, err := p.ToRead(w.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	src, err := safefile.Stat(real)
	if err == nil && src.Absent {
		err = fmt.Errorf("%s does not exist", w.From)
	}
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	file, err := safefile.Open(real)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = p.Size(info.Size()) // before it is read: a sparse file has few blocks for its size
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("from: %w", err), file.Close())
	}
	return file, nil
}

// Room says why what Open has opened does not fit on the disk of dir, or nil.
func Room(p policy.Policy, content io.Reader, dir string) error {
	file, ok := content.(*os.File)
	if !ok { // it came with the job, which is small
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return p.Room(dir, info.Size())
}
