package firmware

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

const maxFailures = 16 // images that are remembered

// A failure is an image that did not last on this device.
type failure struct {
	SHA256  string `json:"sha256"`
	Version string `json:"version"`
	Job     string `json:"job"`
	Reason  string `json:"reason"`
}

func (s *flashing) list() string { return filepath.Join(s.Dir, "firmware.json") }

// failures are the images that did not last, the oldest first. A list that
// cannot be read is none: it must not keep a device from being mended.
func (s *flashing) failures() (list []failure, err error) {
	text, err := os.ReadFile(s.list())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && json.Unmarshal(text, &list) != nil {
		list = nil
	}
	return list, err
}

// remember notes durably that the image did not last.
func (s *flashing) remember(reason string) error {
	if s.Dir == "" {
		return nil
	}
	list, err := s.failures()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(f failure) bool { return f.SHA256 == s.with.SHA256 })
	list = append(list, failure{s.with.SHA256, s.with.Version, s.t.Job, reason})
	text, err := json.Marshal(list[max(0, len(list)-maxFailures):])
	if err != nil {
		return err
	}
	return s.Files.Write(s.list(), strings.NewReader(string(text)+"\n"), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
}
