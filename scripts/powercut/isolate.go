package main

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

// aloneVar is set where the process has a network and mounts of its own.
const aloneVar = "RATCHET_POWERCUT_ALONE"

func alone() bool { return os.Getenv(aloneVar) != "" }

// isolate runs this program again in a network of its own, in which it has the
// address that a guest of qemu knows the host by. What is to be fetched is fetched
// before: there is no way out.
func (w setup) isolate(ctx context.Context, args []string) error {
	if os.Geteuid() != 0 {
		return errors.New("-states needs root: it makes mounts and a network of its own")
	}
	if err := w.fetch(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	const script = `ip link set lo up
ip addr add ` + host + `/32 dev lo
exec "$0" "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-n", "-m", "sh", "-ec", script, self}, args...)...)
	cmd.Env = append(os.Environ(), aloneVar+"=1")
	cmd.Stdout, cmd.Stderr = w.out, os.Stderr
	return cmd.Run()
}

// fetch has all packages unpacked.
func (w setup) fetch() error {
	d, err := machine.NewDebian(w.cache, "amd64")
	if err == nil {
		_, err = d.Kernel("cloud-amd64")
	}
	if err == nil {
		_, err = d.Unpack("busybox-static")
	}
	return err
}
