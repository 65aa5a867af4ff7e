package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A program is a ratchetd that is measured.
type program struct {
	name     string
	path     string // what is started: of an emulated one a script
	emulated bool   // of its memory the emulator's is left out
	twin     bool   // it can start itself, as a data step does
	little   bool   // little-endian, as the journal is that this machine writes
}

// load looks for which processor a program is, and has qemu's user mode run it
// where that is not this machine's.
func (b *bench) load(path string) (program, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return program{}, err
	}
	file, err := elf.Open(path)
	if err != nil {
		return program{}, fmt.Errorf("%w: make build or make cross first, or name the program with -daemon", err)
	}
	defer file.Close()
	p := program{name: filepath.Base(path), path: path, twin: true, little: file.Data == elf.ELFDATA2LSB}
	if exec.Command(path, "version").Run() == nil {
		return p, nil
	}
	qemu, err := exec.LookPath(emulator(file.FileHeader))
	if err != nil {
		return p, fmt.Errorf("%s is for another processor: %w: make deps installs it", p.name, err)
	}
	p.path, p.emulated = filepath.Join(b.dir, "run-"+p.name), true
	if p.twin = b.script(p.path, insideNamespace(b.dir, path, qemu)) == nil; p.twin {
		return p, nil
	}
	return p, b.script(p.path, fmt.Sprintf("exec %s %s \"$@\"\n", qemu, path))
}

// emulator is the name of the one for this processor.
func emulator(h elf.FileHeader) string {
	name := strings.ToLower(strings.TrimPrefix(h.Machine.String(), "EM_"))
	if h.Class == elf.ELFCLASS64 && h.Machine != elf.EM_AARCH64 {
		name += "64"
	}
	if h.Machine == elf.EM_MIPS && h.Data == elf.ELFDATA2LSB {
		name += "el"
	}
	return "qemu-" + name + "-static"
}

// insideNamespace has the kernel start the emulator for a program with this
// head, and for what it starts of itself, in a namespace where nobody else sees
// that (Linux 6.7).
func insideNamespace(dir, path, qemu string) string {
	mount := filepath.Join(dir, "binfmt")
	head := make([]byte, 20) // up to the processor
	if file, err := os.Open(path); err == nil {
		_, _ = file.Read(head) // a wrong one is refused when it is tried
		file.Close()
	}
	var magic strings.Builder
	for _, c := range head {
		fmt.Fprintf(&magic, `\x%02x`, c)
	}
	return fmt.Sprintf("exec unshare -rm sh -c 'mkdir -p %[1]s && mount -t binfmt_misc none %[1]s && "+
		"printf %%s \"$1\" >%[1]s/register && shift && exec \"$@\"' sh ':ratchet:M::%[2]s::%[3]s:' %[4]s \"$@\"\n", mount, magic.String(), qemu, path)
}

// script writes a program of the shell and sees whether it works.
func (b *bench) script(path, text string) error {
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		return err
	}
	out, err := exec.Command(path, "version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s version: %w: %s", filepath.Base(path), err, out)
	}
	return nil
}
