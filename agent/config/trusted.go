package config

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// maxFile bounds a file of the configuration, in bytes.
const maxFile = 1 << 20

// ReadJobFile reads a job that the configuration names.
func ReadJobFile(path string) ([]byte, error) { return ReadTrusted(path, executor.MaxDocument) }

// ReadTrusted reads at most one byte more than most of a file that is believed for
// where it lies: neither it nor a folder above it may be anybody else's to write.
func ReadTrusted(path string, most int64) ([]byte, error) {
	real, err := safefile.Owned(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0) // nor waits for the other end of a pipe
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// readConfig reads one of the files that make up the configuration.
func readConfig(path string) ([]byte, error) {
	text, err := ReadTrusted(path, maxFile)
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, err
}

// OwnOnly says why others could have changed what lies at path, or lead it
// elsewhere; nil where nothing is there.
func OwnOnly(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return nil // whoever uses it says what is wrong with it
	}
	_, err := safefile.Owned(path)
	return err
}

// HandlerFile reports whether a file is there that may be run as a job handler.
// One that others can change, or exchange for another, would let them run what
// they like as this agent.
func HandlerFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, nil // the step says what is wrong with it
	}
	_, err = safefile.Owned(path)
	return err == nil, err
}

// OwnProgram says why others could have changed a program, or nil.
func OwnProgram(path string) error {
	_, err := HandlerFile(path)
	return err
}
