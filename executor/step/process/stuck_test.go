package process

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/telemetry/look/looktest"
)

// A program that waits for a disk that is gone is ended by no signal. The step ends all the
// same, and the next one runs; what is left behind goes when the disk does.
func TestAProgramThatCannotBeKilledIsLeftBehind(t *testing.T) {
	t.Parallel()
	why := errors.New("took too long")
	for way, control := range ways(t) {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			hung, file := looktest.Hang(t), filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			go func() {
				defer cancel(why)
				pid := pidIn(t, file)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					if s, ok := ReadStat(pid); !ok || s.state == 'D' {
						return
					}
				}
			}()
			_, err := shellProgram(control, `echo $$ >"$1"; exec stat `+hung, file).Run(ctx)
			if !errors.Is(err, why) || !strings.Contains(err.Error(), "cannot be killed and is left behind") {
				t.Errorf("got %v", err)
			}
			if status, err := shellProgram(control, "exit 0", "").Run(t.Context()); err != nil || status.ExitStatus() != 0 {
				t.Errorf("the next one: got %v, %v", status, err)
			}
		})
	}
}
