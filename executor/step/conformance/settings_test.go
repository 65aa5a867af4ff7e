package conformance_test

import (
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// settingsCases are what the suite cuts of the kind settings.
func settingsCases() []steptest.Case {
	var dir string
	kind := func(f safefile.Files) executor.Kind {
		return steptest.Late{Kind: func() executor.Kind { return step.Settings{Files: f, Dir: filepath.Join(dir, "conf.d")} }}
	}
	with := func(text string) func(string) string {
		return func(d string) string {
			dir = d
			return text
		}
	}
	there := func(d string) error {
		if err := os.Mkdir(filepath.Join(d, "conf.d"), 0o755); err != nil {
			return err
		}
		return steptest.Old("conf.d/radio.toml")(d)
	}
	return []steptest.Case{
		{Name: "settings, new", Kind: kind, With: with(`{"name":"radio","content":"groups = []\n"}`)},
		{Name: "settings, replaced", Kind: kind, Setup: there, With: with(`{"name":"radio","content":"groups = []\n"}`)},
		{Name: "settings, absent", Kind: kind, Setup: there, With: with(`{"name":"radio","absent":true}`)},
	}
}
