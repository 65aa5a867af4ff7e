package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A spool is the folder jobs.d beside the configuration: a job that is laid
// there, by an image, a package or from a stick, is taken by the same rules as
// over the link. Its file goes once it is in the journal; one that is refused
// stays, and that is told once.
type spool struct {
	agent   *Agent
	refused map[string]string // by path: the state of the file that was
}

// take takes what lies there. It is called now and then, by whoever is awake anyway.
func (s *spool) take(ctx context.Context) {
	dir := filepath.Join(s.agent.config.Load().dir, "jobs.d")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		s.refused = nil
		return
	}
	refused := map[string]string{}
	for _, path := range files {
		state := "gone"
		if info, err := os.Stat(path); err == nil {
			state = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		if s.refused[path] != state {
			err := s.takeOne(ctx, dir, path)
			if err == nil {
				continue
			}
			s.agent.log.Warn("a job that was laid into the spool is not taken; its file stays", "err", fmt.Errorf("%s: %w", path, err))
		}
		refused[path] = state
	}
	s.refused = refused
}

func (s *spool) takeOne(ctx context.Context, dir, path string) error {
	info, err := os.Stat(dir)
	if err == nil {
		err = ownOnly(info, dir)
	}
	if err != nil {
		return err
	}
	text, err := readTrusted(path, dialect.MaxPayload)
	if err != nil {
		return err
	}
	if _, err := s.agent.submit(ctx, text); err != nil {
		return err
	}
	return os.Remove(path)
}
