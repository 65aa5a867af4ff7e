package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory is what of a process is in RAM.
type memory struct{ rss, anonymous int64 }

func (m memory) String() string {
	if m == (memory{}) {
		return "-"
	}
	return fmt.Sprintf("%.1f / %.1f MB", float64(m.rss)/1e6, float64(m.anonymous)/1e6)
}

// settled is the memory after a while in which nothing happened.
func (d *daemon) settled(ctx context.Context) (memory, error) {
	err := sleep(ctx, 4*time.Second)
	return resident(d.cmd.Process.Pid), err
}

// most is the highest memory while something is done, with the children that do it.
func (d *daemon) most(do func() error) (memory, error) {
	var m memory
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case err := <-done:
			return m, err
		case <-time.After(10 * time.Millisecond):
		}
		now := family(d.cmd.Process.Pid)
		m = memory{max(m.rss, now.rss), max(m.anonymous, now.anonymous)}
	}
}

// family is the memory of a process and its children, but for one that is about
// to become another program: until then it has the process's own.
func family(pid int) memory {
	m, own := resident(pid), commandLine(pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil || commandLine(n) == own {
				continue
			}
			c := resident(n)
			m = memory{m.rss + c.rss, m.anonymous + c.anonymous}
		}
	}
	return m
}

func commandLine(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(text)
}

// resident is the memory of a process; of an emulated one that of the program,
// without the emulator's own. That lies at the top of the 64-bit addresses; a
// 32-bit program lies in 4 GiB that begin 64 KiB before its text.
func resident(pid int) (m memory) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return m // it has ended
	}
	defer file.Close()
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	emulated := strings.HasPrefix(filepath.Base(exe), "qemu-")
	low, size := uint64(0), uint64(emulatorAt)
	if emulated && !strings.Contains(exe, "64") {
		low, size = math.MaxUint64, 4<<30
	}
	var at uint64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if from, _, ok := strings.Cut(f[0], "-"); ok && len(f) >= 5 {
			at, _ = strconv.ParseUint(from, 16, 64)
			if low == math.MaxUint64 && len(f) >= 6 && strings.Contains(f[5], "ratchetd-linux-") {
				low = at &^ 0xffff
			}
			continue
		}
		if emulated && (at < low || at-low >= size) || len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Rss:":
			m.rss += n << 10
		case "Anonymous:":
			m.anonymous += n << 10
		}
	}
	return m
}

// emulatorAt is below all that qemu has for itself, and above what it gives to
// a 64-bit program.
const emulatorAt = 0x500000000000
