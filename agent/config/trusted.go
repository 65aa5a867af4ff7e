package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// ReadJobFile reads a job that the configuration names.
func ReadJobFile(path string) ([]byte, error) { return ReadTrusted(path, executor.MaxDocument) }

// ReadTrusted reads a file that is believed for where it lies, so nobody else may be
// able to write it.
func ReadTrusted(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // nor waits for the other end of a pipe
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
	if err := OwnOnly(info, path); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// OwnOnly is an error where somebody else can write.
func OwnOnly(info fs.FileInfo, path string) error {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write %s: run chmod go-w %s", path, path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to somebody else: run chown root %s", path, path)
	}
	return nil
}

// HandlerFile reports whether a file is there that may be run as a job handler.
// One that others can change, or exchange for another, would let them run what
// they like as this agent.
func HandlerFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, nil // the step says what is wrong with it
	}
	if err := OwnOnly(info, path); err != nil {
		return false, err
	}
	dirs := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		if folder, err := os.Stat(dir); err == nil && folder.Mode()&fs.ModeSticky == 0 {
			if err := OwnOnly(folder, dir); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// OwnProgram says why others could have changed a program, or nil.
func OwnProgram(path string) error {
	_, err := HandlerFile(path)
	return err
}
