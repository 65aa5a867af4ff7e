package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// lateFirmware is the kind on a board that lies in the folder of the case.
type lateFirmware struct{ kind func() firmware.Kind }

func (l lateFirmware) Check(with json.RawMessage) error { return l.kind().Check(with) }
func (l lateFirmware) Run(ctx context.Context, t *executor.Task) error {
	return l.kind().Run(ctx, t)
}
func (l lateFirmware) Undo(ctx context.Context, t *executor.Task) error {
	return l.kind().Undo(ctx, t)
}
func (l lateFirmware) Confirm(ctx context.Context, t *executor.Task) error {
	return l.kind().Confirm(ctx, t)
}

// firmwareCase is the kind on the board with two slots.
func firmwareCase(name, format string, more ...any) steptest.Case {
	var dir string
	return steptest.Case{
		Name: name, Boot: func(dir string) error { return steptest.Slots(dir).Boot() },
		Kind: func(f safefile.Files) executor.Kind {
			return lateFirmware{func() firmware.Kind {
				k := steptest.OnBoard(dir)
				if strings.HasSuffix(name, "no room") {
					f = steptest.NoRoom(f)
				}
				k.Files, k.Board.Run = f, steptest.Slots(dir).Run
				return k
			}}
		},
		Setup: func(dir string) error {
			return errors.Join(steptest.NewBoard(dir), os.WriteFile(filepath.Join(dir, "image"), steptest.Image("2.0"), 0o644))
		},
		With: func(d string) string {
			dir = d
			return strings.ReplaceAll(fmt.Sprintf(format, more...), "DIR", d)
		},
	}
}

// firmwareCases are what the suite cuts of the kind firmware. How an image is
// fetched is download's case, and TestE2EEveryCutOfAFetchedFirmware's.
func firmwareCases() []steptest.Case {
	sum := steptest.Digest(steptest.Image("2.0"))
	return []steptest.Case{
		firmwareCase("firmware", `{"image":"DIR/image","sha256":%q,"version":"2.0","board":"stand-in"}`, sum),
		firmwareCase("firmware, runs already", `{"image":"DIR/image","sha256":%q,"version":"1.0"}`, sum),
	}
}
