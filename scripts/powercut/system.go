package main

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/init.sh
var initScript string

//go:embed guest/pieces.sh
var piecesScript string

const diskSize = 128 << 20

// system is the one in the machine, which lies in RAM.
func (r *rig) system(k *machine.Kernel, busybox string) error {
	mark := r.path("mark")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", mark, "./scripts/powercut/mark")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if _, err := machine.Output(build); err != nil {
		return err
	}
	t := machine.Tree{}
	t.Applets([]string{"dev", "proc", "sys", "tmp", "run", "data", "root", "etc"},
		strings.Fields("sh mount insmod sed ip reboot sync sleep echo mkdir mv rm cp ln cat seq find sha256sum grep true false readlink wc cmp sort"))
	t.Text("init", initScript)
	t.Text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
	t.Text("usr/lib/ratchet/plugins/pieces", piecesScript)
	t.Text("etc/rc.common", "")
	t["etc/run/"] = nil
	t.Text("etc/rc.d", "->/data/rc.d")
	t.Text("bin/turn-off", "#!/bin/sh\nsync\nexec reboot -f\n")
	err := errors.Join(t.File("bin/busybox", busybox), t.File("bin/mark", mark), t.File("etc/init.d/web", "executor/step/steptest/testdata/initscript"),
		t.File("usr/libexec/ratchetd/ratchetd-start", "scripts/openwrt/ratchetd-start"))
	if err != nil {
		return err
	}
	r.root = maps.Clone(t)
	modules, err := k.Modules("virtio_pci", "virtio_blk", "virtio_net", r.fs, "crc32c_generic")
	return errors.Join(err, t.Loads(modules), os.WriteFile(r.path("initrd"), t.CPIO(), 0o644))
}

const configText = `device = %q
state = "/data/state"
[link]
broker = "tcp://%s:%d"
spread = "0s"
[policy]
reboot = ["/bin/turn-off"]
[[schedule]]
name = "tick"
cron = "* * * * *"
job = "/data/etc/jobs/tick.json"
`

// tick is what the device does by itself, each minute, once.
const tick = `{"id": "tick", "steps": [{"name": "s0", "command": {"shell": "mark ran && sleep 0.3 && mark ended"}, "ifInterrupted": "fail"}]}`

// format makes the disk.
func (r *rig) format() error {
	board, err := os.ReadFile("executor/step/steptest/testdata/firmware/board")
	if err != nil {
		return err
	}
	// A board's own memory loses nothing that it has written.
	durable := strings.Replace(string(board), `&& mv "$dir/$1.tmp" "$dir/$1"; }`, `&& sync && mv "$dir/$1.tmp" "$dir/$1" && sync; }`, 1)
	if durable == string(board) {
		return errors.New("the board's script has another way of writing now: mend the rig")
	}
	t := machine.Tree{}
	t.Text("board/board", durable)
	t.Text("board/slots/A", "1-good\n")
	t.Text("board/slots/B", "empty\n")
	t.Text("board/running", "A\n")
	t.Text("board/next", "A\n")
	t.Text("etc/firmware", "#!/bin/sh\n/data/board/board \"$@\"\ncode=$?\nsync\nexit $code\n")
	t.Text("etc/ratchet.toml", fmt.Sprintf(configText, device, host, r.brokerPort))
	t.Text("etc/jobs/tick.json", tick)
	t["work/"], t["state/"], t["rc.d/"] = nil, nil, nil
	image := r.path("disk")
	if err := r.builds(); err != nil {
		return err
	}
	if err := t.File("bin/ratchetd", r.path("ratchetd-"+versions[0])); err != nil {
		return err
	}
	if err := machine.Ext4(image, diskSize, t); err != nil {
		return err
	}
	defer os.Remove(image)
	text, err := os.ReadFile(image)
	r.disk = newDisk(text)
	r.disk.lies = r.lies
	return err
}

// versions are those of the agents that updates lead to; the first is there already.
var versions = []string{"1.0.1", "1.0.2"}

// builds builds the agents and serves them.
func (r *rig) builds() error {
	for _, version := range versions {
		binary := r.path("ratchetd-" + version)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/ratchetd/ratchet/agent/build.version="+version, "-o", binary)
		build.Args = append(append(build.Args, r.overlay...), "./cmd/ratchetd")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if _, err := machine.Output(build); err != nil {
			return err
		}
		text, err := os.ReadFile(binary)
		if err != nil {
			return err
		}
		r.agents = append(r.agents, agent{version, executor.Digest(text)})
		r.serve("/"+version, text)
	}
	return nil
}
