package demo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A daemon is one ratchetd with a folder of its own, playing a device.
type daemon struct {
	device, dir, binary string
	cmd                 *exec.Cmd
	exited              chan struct{} // closed when the process is gone
}

// newDaemon makes the device's folder: its config, and work, which jobs may write.
func newDaemon(binary, dir, device, broker string) (*daemon, error) {
	d := &daemon{device: device, dir: filepath.Join(dir, device), binary: binary}
	config := fmt.Sprintf("device = %q\ngroups = [\"routers\"]\nstate = %q\n\n[link]\nbroker = %q\nspread = \"0s\"\n",
		device, filepath.Join(d.dir, "state"), broker)
	for _, sub := range []string{"etc", "work"} {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making %s: %w", device, err)
		}
	}
	if err := os.WriteFile(d.config(), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("making %s: %w", device, err)
	}
	return d, nil
}

func (d *daemon) config() string { return filepath.Join(d.dir, "etc", "ratchet.toml") }
func (d *daemon) work() string   { return filepath.Join(d.dir, "work") }
func (d *daemon) log() string    { return filepath.Join(d.dir, "log") }

// start starts the process in a group of its own, so that Ctrl-C is ours alone;
// it dies with us.
func (d *daemon) start() error {
	file, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", d.device, err)
	}
	defer file.Close()
	d.cmd = exec.Command(d.binary, "run", "--config", d.config())
	d.cmd.Stdout, d.cmd.Stderr = file, file
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	begun := make(chan error)
	d.exited = make(chan struct{})
	go guard(d.cmd, begun, d.exited)
	if err := <-begun; err != nil {
		return fmt.Errorf("starting %s: %w", d.device, err)
	}
	return nil
}

// guard starts a process and waits for its end. It keeps the thread: the
// process's Pdeathsig is about the thread that began it.
func guard(cmd *exec.Cmd, begun chan<- error, exited chan<- struct{}) {
	runtime.LockOSThread()
	defer close(exited)
	err := cmd.Start()
	if begun <- err; err == nil {
		_ = cmd.Wait()
	}
}

// cutPower ends the process as a power cut does: without a word.
func (d *daemon) cutPower() {
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	<-d.exited
}

// stop asks the process to end, and ends it when it does not within 3 seconds.
func (d *daemon) stop() {
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(3 * time.Second):
		d.cutPower()
	}
}

// gone says why a process that should run does not.
func (d *daemon) gone() error {
	select {
	case <-d.exited:
	default:
		return nil
	}
	log, _ := os.ReadFile(d.log())
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return fmt.Errorf("%s (%s) ended by itself: %s", d.device, d.binary, lines[len(lines)-1])
}

// ran is how often the device really began each step, by the steps' own marks.
func (d *daemon) ran() map[string]int {
	marks, _ := os.ReadFile(filepath.Join(d.work(), "ran"))
	times := map[string]int{}
	for _, step := range strings.Fields(string(marks)) {
		times[step]++
	}
	return times
}
