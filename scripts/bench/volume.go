package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A volume is an ext4 in a file, on a loop device of its own.
type volume struct{ path, device string }

func mountVolume(dir string) (*volume, error) {
	v := &volume{path: filepath.Join(dir, "volume")}
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		return nil, err
	}
	if err := os.Mkdir(v.path, 0o700); err != nil {
		return nil, err
	}
	if _, err := tool("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", image); err != nil {
		return nil, err
	}
	var err error
	if v.device, err = tool("losetup", "--find", "--show", image); err != nil {
		return nil, err
	}
	if _, err := tool("mount", "-o", "noatime", v.device, v.path); err != nil {
		_, detach := tool("losetup", "--detach", v.device)
		return nil, fmt.Errorf("%w (loop device given back: %v)", err, detach == nil)
	}
	return v, nil
}

func (v *volume) unmount() {
	if _, err := tool("umount", v.path); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if _, err := tool("losetup", "--detach", v.device); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

func tool(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w %s", name, err, text)
	}
	return text, nil
}

// demand is what a device was asked to do.
type demand struct{ bytes, flushes float64 }

func (a demand) less(b demand) demand { return demand{a.bytes - b.bytes, a.flushes - b.flushes} }

func (a demand) by(n int) demand { return demand{a.bytes / float64(n), a.flushes / float64(n)} }

// demand reads the counters since the device was set up.
func (v *volume) demand() (demand, error) {
	text, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(v.device), "stat"))
	if err != nil {
		return demand{}, err
	}
	f := strings.Fields(string(text))
	if len(f) < 16 {
		return demand{}, fmt.Errorf("%s: this kernel does not count flushes", v.device)
	}
	sectors, err := strconv.ParseFloat(f[6], 64)
	if err != nil {
		return demand{}, err
	}
	flushes, err := strconv.ParseFloat(f[15], 64)
	return demand{sectors * 512, flushes}, err
}

// perRound opens something, does one thing with it many times, and returns what one time cost.
func (v *volume) perRound(rounds int, open func() (do, done func() error, err error)) (demand, error) {
	do, done, err := open()
	if err != nil {
		return demand{}, err
	}
	defer done()
	if err := do(); err != nil { // the first makes the file grow
		return demand{}, err
	}
	before, err := v.demand()
	if err != nil {
		return demand{}, err
	}
	for range rounds {
		if err := do(); err != nil {
			return demand{}, err
		}
	}
	after, err := v.demand()
	return after.less(before).by(rounds), err
}
