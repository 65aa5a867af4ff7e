package step_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// fakeReboot is a reboot command that counts its calls in a file.
func fakeReboot(t *testing.T, then string) (k step.Reboot, calls func() int) {
	log := filepath.Join(t.TempDir(), "calls")
	calls = func() int {
		data, _ := os.ReadFile(log)
		return strings.Count(string(data), "\n")
	}
	return step.Reboot{Command: []string{"/bin/sh", "-c", "echo $$ >> " + log + "; " + then}}, calls
}

func TestARebootIsDoneWhenTheBootIsAnother(t *testing.T) {
	k, calls := fakeReboot(t, "exit 0")
	a := steptest.NewAttempt(t, `{}`)
	power, cut := context.WithCancelCause(t.Context())
	go func() {
		for calls() == 0 {
			time.Sleep(time.Millisecond)
		}
		cut(errors.New("power cut"))
	}()
	steptest.WantError(t, a.Run(power, k), "power cut")
	if !a.CutExpected {
		t.Error("got no word to the journal that a cut is to come, want it before the command")
	}
	a.Boot = "boot-2"
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if got := calls(); got != 1 {
		t.Errorf("got %d calls of the reboot command, want 1", got)
	}
	if got, want := a.Out.String(), "the device has rebooted\n"; got != want {
		t.Errorf("got output %q, want %q", got, want)
	}
}

// TestACutInTheDelayIsTheReboot: nobody cares who cut the power.
func TestACutInTheDelayIsTheReboot(t *testing.T) {
	k, calls := fakeReboot(t, "exit 0")
	a := steptest.NewAttempt(t, `{"delay":"1h"}`)
	power, cut := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cut(errors.New("power cut")) })
	steptest.WantError(t, a.Run(power, k), "power cut")
	a.Boot = "boot-2"
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if got := calls(); got != 0 {
		t.Errorf("got %d calls of the reboot command, want none", got)
	}
}

// TestARestartOfTheAgentIsNoReboot: in the same boot the command runs again.
func TestARestartOfTheAgentIsNoReboot(t *testing.T) {
	k, calls := fakeReboot(t, "sleep 100")
	a := steptest.NewAttempt(t, `{}`)
	for want := 1; want <= 2; want++ {
		a.Stop = make(chan struct{})
		a.Stopping = a.Stop
		go func() {
			for calls() < want {
				time.Sleep(time.Millisecond)
			}
			close(a.Stop)
		}()
		began := time.Now()
		steptest.WantError(t, a.Run(t.Context(), k), "the agent is stopping")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("got a return after %s, want one at once", took)
		}
		if got := calls(); got != want {
			t.Errorf("got %d calls of the reboot command, want %d", got, want)
		}
	}
	// A stopping agent is how a reboot begins, so the command goes on.
	for _, pid := range pids(t, k) {
		if !alive(pid) {
			t.Errorf("got reboot command %d killed, want it to go on", pid)
		}
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

func pids(t *testing.T, k step.Reboot) (list []int) {
	t.Helper()
	_, rest, _ := strings.Cut(k.Command[2], ">> ")
	log, _, _ := strings.Cut(rest, ";")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

func TestADeviceThatDoesNotRebootIsAFailure(t *testing.T) {
	k, _ := fakeReboot(t, "sleep 100")
	a := steptest.NewAttempt(t, `{}`)
	a.Timeout = executor.Duration(300 * time.Millisecond)
	steptest.WantError(t, a.Run(t.Context(), k), "the device did not reboot within 300ms")
	for _, pid := range pids(t, k) {
		steptest.Eventually(t, "the end of the reboot command", func() bool { return !alive(pid) })
	}
}

func TestAFailedRebootCommandSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		command []string
		want    string
	}{
		{[]string{"/bin/sh", "-c", "echo not allowed >&2; exit 4"}, "exit status 4: not allowed"},
		{[]string{"/bin/sh", "-c", "yes | head -c 10000; exit 4"}, "exit status 4: y\ny"},
		{[]string{"/no/such/reboot"}, "starting /no/such/reboot: no such file"},
		{[]string{"no-such-reboot"}, "starting no-such-reboot: not found"},
	} {
		a := steptest.NewAttempt(t, `{}`)
		err := a.Run(t.Context(), step.Reboot{Command: tt.command})
		steptest.WantError(t, err, tt.want)
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("got an error of %d bytes, want its output bounded", len(err.Error()))
		}
	}
}

func TestRebootRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{"delay":"soon"}`: "no duration",
		`{"delay":"-1s"}`:  "no duration",
		`{"now":true}`:     "now: unknown field",
	} {
		steptest.WantError(t, step.Reboot{}.Check([]byte(with)), want)
	}
}
