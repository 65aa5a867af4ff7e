package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// A flashed is a device on a board with two slots whose power is cut while it
// writes firmware, reboots and is on trial.
type flashed struct {
	*victim
	board *board
	boot  func() error // the power comes back
	job   string
	boots int
	cuts  int
	die   string // the commit at which the agent dies, and with it the power
	life  int    // in this boot
	mute  bool   // its script does not say which slot boots next
}

// silence has the board's script not say which slot boots next.
func (f *flashed) silence() {
	f.t.Helper()
	f.mute = true
	shell(f.t, f.board.etc, `sed -i 's/^exec .*/& | sed "s|,.next.*}|}|"/' firmware`)
}

// newFlashed offers the device an image: good, dead (it does not boot) or deaf
// (it boots, and its check fails).
func newFlashed(t *testing.T, id, is, tools string) *flashed {
	t.Helper()
	if !canFakeBoot() {
		t.Skip("this system does not let us fake a boot id")
	}
	v := newVictim(t, embedded)
	const size = 1 << 20
	b, err := newBoard(filepath.Join(v.dir, id), filepath.Join(v.dir, "etc"), tools, size)
	if err != nil {
		t.Fatal(err)
	}
	f := &flashed{victim: v, board: b, boot: b.boot, job: id}
	image := firmwareImage("2.0", is, size)
	server := serveFile(image, 1<<30)
	v.closers = append(v.closers, func() error { server.Close(); return nil })
	doc := fmt.Sprintf(`{"id": %q, "steps": [
		{"name": "before", "command": {"argv": ["true"]}},
		{"name": "flash", "maxInterruptions": 20, "confirm": {"within": "6s", "check": {"command": ["grep", "-q", "good", %q]}},
			"firmware": {"url": "%s/image", "sha256": %q, "version": "2.0", "board": "test", "force": true}},
		{"name": "after", "command": {"argv": ["true"]}}]}`, id, b.path("is"), server.URL, executor.Digest(image))
	if err := v.watcher.send("jobs/device/gw-1/"+id, []byte(doc)); err != nil {
		t.Fatal(err)
	}
	return f
}

// live runs the device through all its boots until the job is final; cut is
// asked at every start what ends it: nil is nothing but its own reboot.
func (f *flashed) live(cut func() <-chan time.Time) {
	f.t.Helper()
	ended := make(chan error, 1)
	go func() {
		ended <- f.watcher.sees("device/gw-1/jobs/"+f.job, `.state | IN("succeeded", "failed", "cancelled")`)
	}()
	for {
		f.boots++
		f.site.boot = fmt.Sprintf("00000000-0000-4000-8000-%012d", f.boots)
		var env []string
		if f.boots == f.life {
			env = append(env, dieAt+"="+f.die)
		}
		d, power := f.run(env...), cut()
		for on := true; on; {
			select {
			case err := <-ended:
				if err != nil {
					log, _ := os.ReadFile(d.log)
					f.t.Fatalf("%v\n%s", err, log)
				}
				f.off(d)
				return
			case <-power:
				f.cuts++
				on = false
			case <-d.done:
				if f.boots != f.life {
					f.t.Fatal("ratchetd ended by itself")
				}
				f.cuts++
				on = false
			case <-time.After(10 * time.Millisecond):
				_, err := os.Stat(filepath.Join(f.dir, "rebooting"))
				on = err != nil
			}
		}
		f.off(d)
	}
}

// off cuts the power, and brings it back.
func (f *flashed) off(d *daemon) {
	f.t.Helper()
	d.kill()
	endJob(f.job)
	_ = os.Remove(filepath.Join(f.dir, "rebooting"))
	if err := f.boot(); err != nil {
		f.t.Fatalf("after %d cuts: %v", f.cuts, err)
	}
}

// judge checks the report against the board, and says in words how it ended.
func (f *flashed) judge(is string) string {
	f.t.Helper()
	s := f.final(f.job)
	env, err := f.board.env()
	if err != nil {
		f.t.Fatal(err)
	}
	slot := env["boot_slot"]
	version, like := f.board.slot(slot)
	want := map[executor.State]string{executor.Succeeded: "2.0", executor.Failed: "1.0"}[s.State]
	if version != want || like != "good" || env["upgrade_available"] != "0" {
		f.t.Errorf("%d cuts: the job is %s (%s), and slot %s holds %s, %s; %v", f.cuts, s.State, s.Reason, slot, version, like, env)
	}
	if s.State == executor.Succeeded && is != "good" {
		f.t.Errorf("%d cuts: an image that is %s has succeeded", f.cuts, is)
	}
	if s.State == executor.Failed && is == "good" && f.cuts == 0 {
		f.t.Errorf("without a cut: %s", s.Reason)
	}
	if unproven := strings.Contains(strings.Join(s.Warnings, "\n"), "cannot be proven"); unproven != (f.mute && s.State == executor.Succeeded) {
		f.t.Errorf("got warnings %q, want one of what cannot be proven only where the script is silent", s.Warnings)
	}
	for range 5 {
		if err := f.board.boot(); err != nil {
			f.t.Error(err)
		}
	}
	if after, _ := f.board.env(); after["boot_slot"] != slot {
		f.t.Errorf("slot %s was confirmed, and after five boots %s runs", slot, after["boot_slot"])
	}
	if s.State == executor.Succeeded {
		return "succeeded, runs 2.0"
	}
	return "failed, runs 1.0: " + strings.ReplaceAll(strings.TrimPrefix(s.Reason, "step flash: "), f.dir, "DIR")
}

// random cuts the power so often: after a random time, or at a random moment
// behind a verb of the script, where it hurts.
func (f *flashed) random(r *rand.Rand, cuts int) func() <-chan time.Time {
	return func() <-chan time.Time {
		if f.cuts >= cuts {
			return nil
		}
		c := make(chan time.Time, 1)
		verb := []string{"", "install", "install", "confirm", "rollback", "state"}[r.IntN(6)]
		wait := time.Duration(r.IntN(150)) * time.Millisecond
		if verb == "" {
			wait = time.Duration(r.IntN(4000)) * time.Millisecond
		}
		began := f.verbs(verb)
		go func() {
			for end := time.Now().Add(4 * time.Second); verb != "" && f.verbs(verb) == began && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(wait)
			c <- time.Now()
		}()
		return c
	}
}

func (f *flashed) verbs(verb string) int {
	text, _ := os.ReadFile(f.board.path("verbs")) // none: none
	return strings.Count(string(text), verb+"\n")
}

// standIns are the tools of U-Boot's environment that need none.
func standIns(t *testing.T) string {
	dir, err := filepath.Abs("../../updater/testdata/bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFirmwareIsWrittenBootedAndConfirmedOrTakenBack(t *testing.T) {
	t.Parallel()
	for is, want := range map[string]string{
		"good": "succeeded, runs 2.0",
		"dead": "failed, runs 1.0: after the boot 1.0 runs: the new system did not come up, or was not taken",
		"deaf": "failed, runs 1.0: not confirmed within 6s",
	} {
		t.Run(is, func(t *testing.T) {
			t.Parallel()
			f := newFlashed(t, "fw-"+is, is, standIns(t))
			if is == "good" {
				f.silence()
			}
			f.live(func() <-chan time.Time { return nil })
			if got := f.judge(is); !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s (%s)", got, want, f.final(f.job).Reason)
			}
		})
	}
}

// TestE2EFirmwareIsCutAtRandomMoments cuts the power 200 times while firmware is
// written, booted and on trial, with the environment of the real libubootenv.
func TestE2EFirmwareIsCutAtRandomMoments(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	if _, err := exec.LookPath("/usr/bin/fw_setenv"); err != nil {
		t.Skip("libubootenv-tool is not installed: make deps")
	}
	const moments, devices = 200, 5
	seed := rand.Uint64()
	var mu sync.Mutex
	outcomes, cuts := map[string]int{}, map[string]int{}
	t.Run("devices", func(t *testing.T) {
		for i := range devices {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				for left, n := moments/devices, 0; left > 0; n++ {
					is := []string{"good", "good", "dead", "deaf"}[r.IntN(4)]
					most := min(left, 1+r.IntN(6))
					f := newFlashed(t, fmt.Sprintf("fw-%d-%d", i, n), is, "/usr/bin")
					f.live(f.random(r, most))
					how := fmt.Sprintf("%s image: %s", is, f.judge(is))
					left -= f.cuts
					mu.Lock()
					outcomes[how]++
					cuts[how] += f.cuts
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("seed %d", seed)
	for _, how := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%3d jobs, %3d cuts: %s", outcomes[how], cuts[how], how)
	}
	if len(outcomes) < 3 {
		t.Error(errors.New("too few outcomes: the cuts hit nothing"))
	}
}

// TestE2EFirmwareWithoutRoomIsWrittenAsItComes: the disk of the state holds
// less than the image, which U-Boot's script then takes from stdin.
func TestE2EFirmwareWithoutRoomIsWrittenAsItComes(t *testing.T) {
	if !thorough() || os.Geteuid() != 0 {
		t.Skip("RATCHET_E2E=1 runs it as root, or make e2e")
	}
	for is, want := range map[string]string{"good": "succeeded, runs 2.0", "deaf": "failed, runs 1.0: not confirmed"} {
		f := newFlashed(t, "tight-"+is, is, standIns(t))
		state := f.state("gw-1")
		shell(t, "/", `mkdir -p "$1"; mount -t tmpfs -o size=1m tmpfs "$1"`, state)
		t.Cleanup(func() { shell(t, "/", `umount -l "$1"`, state) })
		f.live(func() <-chan time.Time { return nil })
		if got := f.judge(is); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := f.verbs("stream"); got != 1 {
			t.Errorf("%s: got %d images written as they came, want 1", is, got)
		}
	}
}
