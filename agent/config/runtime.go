package config

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// RuntimeDir is a directory in RAM for what must not outlive this boot. OpenWrt
// has no /run, and there /var is RAM.
func RuntimeDir(state string) string {
	name := "ratchet-" + executor.Digest([]byte(state))[:12]
	for _, dir := range []string{"/run", "/var/run"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && os.Geteuid() == 0 {
			return filepath.Join(dir, name)
		}
	}
	return ownDir(filepath.Join(os.TempDir(), name), filepath.Join(state, "run"))
}

// ownDir is dir, made where it is missing, unless somebody else was there
// first: in a directory that all may write he would say which process groups to
// kill. Then it is otherwise.
func ownDir(dir, otherwise string) string {
	_ = os.Mkdir(dir, 0o700) // it may be there; what counts is whose it is
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return otherwise
	}
	return dir
}
