package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
)

// A Spool is the folder jobs.d beside the configuration: a job that is laid
// there, by an image, a package or from a stick, is taken by the same rules as
// over the link. Its file goes once it is in the journal; one that is refused
// stays, and of each reason the log hears once.
type Spool struct {
	Config *config.Current
	Intake *intake.Intake
	Log    *slog.Logger

	refused map[string]refusedFile // by path
}

type refusedFile struct {
	state string         // of the file
	under *config.Config // by whose rules
	why   string         // what the log has heard
	at    time.Time      // when it was looked at last
}

// spoolAgain is when a refused file is looked at again that is as it was: the
// journal may have had no room for it.
const spoolAgain = 10 * time.Minute

// Collect takes the jobs that lie there. It is called now and then, by whoever is awake
// anyway.
func (s *Spool) Collect(ctx context.Context) {
	rules := s.Config.Load()
	dir := filepath.Join(rules.Dir(), "jobs.d")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		s.refused = nil
		return
	}
	refused := map[string]refusedFile{}
	for _, path := range files {
		now := refusedFile{state: stateOf(path), under: rules, at: time.Now()}
		was := s.refused[path]
		if was.state == now.state && was.under == rules && time.Since(was.at) < spoolAgain {
			refused[path] = was
			continue
		}
		err := s.collectOne(ctx, dir, path)
		if err == nil {
			continue
		}
		if now.why = err.Error(); now.why != was.why {
			s.Log.Warn("a job that was laid into the spool is not taken; its file stays", "err", fmt.Errorf("%s: %w", path, err))
		}
		refused[path] = now
	}
	s.refused = refused
}

func stateOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "gone"
	}
	return fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
}

func (s *Spool) collectOne(ctx context.Context, dir, path string) error {
	if err := config.OwnOnly(dir); err != nil {
		return err
	}
	text, err := config.ReadTrusted(path, dialect.MaxPayload)
	if err != nil {
		return err
	}
	if _, _, err := s.Intake.Submit(ctx, text); err != nil {
		return err
	}
	return os.Remove(path)
}
