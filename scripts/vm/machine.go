package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A machine is one that can be switched on and off again and again.
type machine struct {
	qemu    []string // the program and its arguments
	console string   // the file that takes what it says
}

// newMachine boots the kernel with a first root; cmdline is the kernel's. A
// reboot of the guest ends qemu: whoever plays the power switches on again.
func newMachine(qemu []string, k *kernel, initrd, cmdline, console string) *machine {
	return &machine{console: console, qemu: append(qemu,
		"-accel", "tcg", "-nographic", "-no-reboot", "-monitor", "none", "-kernel", k.image, "-initrd", initrd, "-append", cmdline,
		"-chardev", "file,id=console,path="+console+",append=on", "-serial", "chardev:console",
		"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=")}
}

// A wired machine is one whose agent has a broker.
type wired struct {
	*broker
	machine *machine
}

// A running machine is one that is on.
type running struct {
	cmd  *exec.Cmd
	said bytes.Buffer
	done chan struct{} // closed when it is off
	err  error
}

func (m *machine) on() (*running, error) {
	r := &running{cmd: exec.Command(m.qemu[0], m.qemu[1:]...), done: make(chan struct{})}
	r.cmd.Stderr = &r.said
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

// off cuts the power.
func (r *running) off() {
	_ = r.cmd.Process.Kill() // it may be off already
	<-r.done
}

// until keeps the machine on, however often it reboots, until ended is closed.
// cut says for each boot when its power is cut; zero is never. It returns how
// often it was cut.
func (m *machine) until(ctx context.Context, ended <-chan struct{}, cut func() time.Duration) (cuts int, err error) {
	for boots := 0; ; boots++ {
		if boots == 200 {
			return cuts, fmt.Errorf("it boots for ever: see %s", m.console)
		}
		r, err := m.on()
		if err != nil {
			return cuts, err
		}
		var power <-chan time.Time
		if after := cut(); after > 0 {
			power = time.After(after)
		}
		select {
		case <-ended:
			r.off()
			return cuts, nil
		case <-ctx.Done():
			r.off()
			return cuts, fmt.Errorf("%w; what it said is in %s", context.Cause(ctx), m.console)
		case <-power:
			cuts++
			r.off()
		case <-r.done:
			if r.err != nil {
				return cuts, fmt.Errorf("qemu: %w: %s", r.err, r.said.String())
			}
		}
	}
}

// never is for until: nothing cuts the power.
func never() time.Duration { return 0 }

// mark notes in the console's file what is being done to the machine.
func (m *machine) mark(text string) {
	f, err := os.OpenFile(m.console, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return // it is a help for readers, no more
	}
	defer f.Close()
	fmt.Fprintf(f, "\n==== %s %s\n", time.Now().Format(time.TimeOnly), text)
}
