package process

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
)

// TestEveryDaemonThatAProgramStartsLives: also those that were still between fork and
// setsid, in the program's own group and with its pipes, as it ended well.
func TestEveryDaemonThatAProgramStartsLives(t *testing.T) {
	const daemons = 60
	script := fmt.Sprintf(`i=0
while [ $i -lt %d ]; do
	(trap "" HUP; sleep 0.$((i %% 10)); exec setsid sh -c 'echo $$ >"$1"; exec sleep 1000' x "$1.$i" >/dev/null 2>&1) &
	i=$((i + 1))
done
exit 0`, daemons)
	for way, control := range ways(t) {
		t.Run(way, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			status, err := shellProgram(control, script, file).Run(t.Context())
			if err != nil || status.ExitStatus() != 0 {
				t.Fatal(status, err)
			}
			var pids []int
			t.Cleanup(func() {
				for _, pid := range pids {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			})
			for i := range daemons {
				pids = append(pids, pidIn(t, fmt.Sprint(file, ".", i)))
			}
			// Nor does the end of a later step, however it ends.
			if _, err := shellProgram(control, "exit 1", "").Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, pid := range pids {
				if !lives(pid) {
					t.Errorf("daemon %d does not live", i)
				}
			}
		})
	}
}
