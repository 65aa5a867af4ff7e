// Package machine makes whole machines: a kernel of Debian's, disks that are
// files, and a processor that qemu emulates. It needs no rights, and knows nothing
// of what runs in them.
package machine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A Machine is one that can be switched on and off again and again.
type Machine struct {
	qemu    []string // the program and its arguments
	Console string   // the file that takes what it says
}

// New boots the kernel with a first root; cmdline is the kernel's. A
// reboot of the guest ends qemu: whoever plays the power switches on again.
func New(qemu []string, k *Kernel, initrd, cmdline, console string) *Machine {
	return &Machine{Console: console, qemu: append(qemu,
		"-accel", "tcg", "-nographic", "-no-reboot", "-monitor", "none", "-kernel", k.image, "-initrd", initrd, "-append", cmdline,
		"-chardev", "file,id=console,path="+console+",append=on", "-serial", "chardev:console",
		"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=")}
}

// A Running machine is one that is on.
type Running struct {
	cmd  *exec.Cmd
	Said bytes.Buffer
	Done chan struct{} // closed when it is off
	err  error
}

// On switches it on.
func (m *Machine) On() (*Running, error) {
	r := &Running{cmd: exec.Command(m.qemu[0], m.qemu[1:]...), Done: make(chan struct{})}
	r.cmd.Stderr = &r.Said
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.Done)
	}()
	return r, nil
}

// Off cuts the power.
func (r *Running) Off() {
	_ = r.cmd.Process.Kill() // it may be off already
	<-r.Done
}

// Until keeps the machine on, however often it reboots, until ended is closed.
// cut says for each boot when its power is cut; zero is never. It returns how
// often it was cut.
func (m *Machine) Until(ctx context.Context, ended <-chan struct{}, cut func() time.Duration) (cuts int, err error) {
	for boots := 0; ; boots++ {
		if boots == 200 {
			return cuts, fmt.Errorf("it boots for ever: see %s", m.Console)
		}
		r, err := m.On()
		if err != nil {
			return cuts, err
		}
		var power <-chan time.Time
		if after := cut(); after > 0 {
			power = time.After(after)
		}
		select {
		case <-ended:
			r.Off()
			return cuts, nil
		case <-ctx.Done():
			r.Off()
			return cuts, fmt.Errorf("%w; what it said is in %s", context.Cause(ctx), m.Console)
		case <-power:
			cuts++
			r.Off()
		case <-r.Done:
			if r.err != nil {
				return cuts, fmt.Errorf("qemu: %w: %s", r.err, r.Said.String())
			}
		}
	}
}

// Never is for Until: nothing cuts the power.
func Never() time.Duration { return 0 }

// Mark notes in the console's file what is being done to the machine.
func (m *Machine) Mark(text string) {
	f, err := os.OpenFile(m.Console, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return // it is a help for readers, no more
	}
	defer f.Close()
	fmt.Fprintf(f, "\n==== %s %s\n", time.Now().Format(time.TimeOnly), text)
}
