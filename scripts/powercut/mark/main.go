// Command mark is how a program in the machine says outside what it does, past
// every cache: it writes a line to the disk of marks, and ends once the disk has
// it. `mark WORD...` adds the step that it is called by.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

const (
	device = "/dev/vdb"
	sector = 512
)

func main() {
	line := strings.Join(append(os.Args[1:], os.Getenv("RATCHET_JOB"), os.Getenv("RATCHET_STEP"), os.Getenv("RATCHET_ATTEMPT")), " ") + "\n"
	if err := write(line); err != nil {
		fmt.Fprintln(os.Stderr, "mark:", err)
		os.Exit(1)
	}
}

func write(line string) error {
	if len(line) > sector {
		return fmt.Errorf("%d bytes do not fit into a sector", len(line))
	}
	// O_DIRECT wants the memory aligned too.
	room := make([]byte, 2*4096)
	skip := -int(uintptr(unsafe.Pointer(&room[0]))) & 4095
	aligned := room[skip : skip+sector]
	copy(aligned, line)
	if info, err := os.Stat(device); err == nil && info.Mode().Type() == os.ModeSocket {
		return ask(aligned)
	}
	fd, err := syscall.Open(device, syscall.O_WRONLY|syscall.O_DIRECT|syscall.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, aligned)
	return err
}

// ask writes to a socket, where no machine is, and waits until it was read.
func ask(text []byte) error {
	c, err := net.Dial("unix", device)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(text); err != nil {
		return err
	}
	_, err = c.Read(text[:1])
	return err
}
