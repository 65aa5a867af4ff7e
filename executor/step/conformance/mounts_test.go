package conformance_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// An overlay shows a file under another device number than its upper directory
// does, and a bind mount shows what is not there yet under another path.
func TestNoMountLeadsToWhatIsProtected(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	mount := func(source, target, kind string, flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			t.Skipf("nothing can be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
	}
	for _, d := range []string{"disk", "disk/rom", "disk/overlay", "disk/overlay/upper", "disk/overlay/work", "root", "bind"} {
		if err := os.Mkdir(in(d), 0o755); err != nil {
			if d == "disk/rom" {
				t.Fatal(err)
			}
			if !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
		if d == "disk" {
			mount("tmpfs", in("disk"), "tmpfs", 0, "")
		}
	}
	mount("overlay", in("root"), "overlay", 0, "lowerdir="+in("disk/rom")+",upperdir="+in("disk/overlay/upper")+",workdir="+in("disk/overlay/work"))
	conf := in("root/etc/ratchet")
	if err := errors.Join(os.MkdirAll(conf, 0o755), os.WriteFile(conf+"/link.key", []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	mount(conf, in("bind"), "", unix.MS_BIND, "")
	upper := in("disk/overlay/upper/etc/ratchet")
	p := policy.Policy{Protected: []string{conf, conf + "/link.key", conf + "/later"}}
	for _, kept := range []policy.Policy{p, {Protected: []string{conf + "/link.key", conf + "/later"}}, {Protected: []string{upper + "/link.key", upper + "/later"}}} {
		for _, at := range []string{conf, upper, in("bind")} {
			for _, name := range []string{"link.key", "later", ".later.ratchet-new"} {
				path := filepath.Join(at, name)
				steptest.WantError(t, kept.Readable(path), "is protected")
				steptest.WantError(t, kept.Writable(path), "is protected")
			}
		}
	}
	a := steptest.NewAttempt(t, `{"path":%q,"from":%q}`, in("copy"), upper+"/link.key")
	steptest.WantError(t, a.Run(t.Context(), step.File{Policy: p}), "is protected: it cannot be read by a job")
	a = steptest.NewAttempt(t, `{"path":%q,"content":"x"}`, in("bind/later"))
	steptest.WantError(t, a.Run(t.Context(), step.File{Policy: p}), "is protected: it cannot be written by a job")
	a = steptest.NewAttempt(t, `{"path":%q,"content":"x"}`, in("root/etc/other"))
	if err := a.Run(t.Context(), step.File{Policy: p}); err != nil {
		t.Errorf("what is not protected: %v", err)
	}
}

// Each mount of /proc, such as one in the root of a container, shows the agent's own
// memory and environment.
func TestNoMountOfProcIsReadable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if err := unix.Mount("proc", dir, "proc", 0, ""); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	own := filepath.Join(dir, strconv.Itoa(os.Getpid()), "environ")
	for _, p := range []policy.Policy{{}, {Read: []string{filepath.Dir(dir)}, Paths: []string{dir}}} {
		steptest.WantError(t, p.Readable(own), "is protected")
		steptest.WantError(t, p.Writable(filepath.Join(dir, "sysrq-trigger")), "is protected")
	}
}
