package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
// without the emulator's own.
func resident(pid int) (m memory) {
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	list := mappings(pid)
	if qemu := filepath.Base(exe); strings.HasPrefix(qemu, "qemu-") {
		list = slices.DeleteFunc(list, emulators(list, qemu))
	}
	for _, each := range list {
		m = memory{m.rss + each.rss, m.anonymous + each.anonymous}
	}
	return m
}

// emulators lists which mappings are the emulator's: a 32-bit program lies in
// 4 GiB that begin 64 KiB before its text. A 64-bit one may lie anywhere, as Go
// puts its heap where chance says; the emulator is near its own text.
func emulators(list []mapping, qemu string) func(mapping) bool {
	at := func(name string) uint64 {
		i := slices.IndexFunc(list, func(m mapping) bool { return strings.Contains(m.file, name) })
		if i < 0 {
			return 0
		}
		return list[i].at
	}
	low, image := at("ratchetd-linux-")&^0xffff, at(qemu)
	if !strings.Contains(qemu, "64") {
		return func(m mapping) bool { return m.at < low || m.at-low >= 4<<30 }
	}
	return func(m mapping) bool { return strings.HasPrefix(m.file, "[") || m.at>>40 == image>>40 }
}

// A mapping is a part of a process's addresses.
type mapping struct {
	at   uint64
	file string // or what the kernel calls it
	memory
}

func mappings(pid int) (list []mapping) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil // it has ended
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if from, _, ok := strings.Cut(f[0], "-"); ok && len(f) >= 5 {
			at, _ := strconv.ParseUint(from, 16, 64)
			list = append(list, mapping{at: at, file: strings.Join(f[5:], " ")})
			continue
		}
		if len(f) < 2 || len(list) == 0 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch last := &list[len(list)-1]; f[0] {
		case "Rss:":
			last.rss = n << 10
		case "Anonymous:":
			last.anonymous = n << 10
		}
	}
	return list
}
