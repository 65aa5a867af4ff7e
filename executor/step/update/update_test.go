package update_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"
	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/update"
	"github.com/ratchetd/ratchet/updater"
)

func TestUpdateRefuses(t *testing.T) {
	const good = `"url":"http://x/r","sha256":"` + "0000000000000000000000000000000000000000000000000000000000000000" + `","version":"2.0"`
	keys := update.Kind{Keys: []string{"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}}
	hosts := update.Kind{Policy: policy.Policy{URLs: []string{"*.example.com"}}}
	hostsAndKeys := update.Kind{Keys: keys.Keys, Policy: hosts.Policy}
	for _, c := range []struct {
		kind       update.Kind
		with, want string
	}{
		{update.Kind{}, good, ""},
		{update.Kind{}, strings.Replace(good, "2.0", "", 1), "version: "},
		{update.Kind{}, strings.Replace(good, "2.0", "2.0 --help", 1), "version: "},
		{update.Kind{}, strings.Replace(good, "http", "ftp", 1), "url: want an address"},
		{update.Kind{}, strings.Replace(good, "0000", "0", 1), "sha256: "},
		{update.Kind{}, good + `,"signature":"untrusted comment: x"`, "policy.keys is empty"},
		{update.Kind{}, good + `,"to":"/bin/x"`, "to: unknown field"},
		{keys, good, "policy.keys is set, so what is installed must be signed"},
		{keys, good + `,"signature":"untrusted comment: x"`, ""},
		{keys, good + `,"signature":"https://x/r.minisig"`, ""},
		{keys, good + `,"signature":"/etc/passwd"`, "signature: want the text"},
		{hosts, good, "policy.urls does not allow this host"},
		{hostsAndKeys, strings.Replace(good, "//x/", "//a.example.com/", 1) + `,"signature":"https://x/r.minisig"`, "policy.urls does not allow this host"},
	} {
		err := c.kind.Check([]byte("{" + c.with + "}"))
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.with, err)
		} else if c.want != "" {
			steptest.WantError(t, err, c.want)
		}
	}
}

// updatable is an agent in a folder of its own, and a release that it can get.
type updatable struct {
	*testing.T
	dir       string
	kind      update.Kind
	old, next []byte
}

func newUpdatable(t *testing.T) updatable {
	old := steptest.AgentBinary(t)
	u := updatable{T: t, dir: t.TempDir(), old: old, next: append(slices.Clone(old), "new"...)}
	running := filepath.Join(t.TempDir(), "running")
	u.kind = update.Kind{Path: filepath.Join(u.dir, "ratchetd"), Running: running, Version: "1",
		Config: "/etc/ratchet/ratchet.toml", Restart: func() error { return steptest.ErrRestart }, Memory: func() (uint64, error) { return 0, nil }}
	if err := errors.Join(os.WriteFile(u.kind.Path, old, 0o755), os.WriteFile(running, old, 0o755)); err != nil {
		t.Fatal(err)
	}
	return u
}

// runs makes a binary the one that runs.
func (u updatable) runs(binary []byte) {
	u.Helper()
	if err := os.WriteFile(u.kind.Running, binary, 0o755); err != nil {
		u.Fatal(err)
	}
}

func (u updatable) job(release []byte, more string) *steptest.Attempt {
	url, sum := steptest.Serve(u.T, release)
	return steptest.NewAttempt(u.T, `{"url":%q,"sha256":%q,"version":"version","force":true%s}`, url, sum, more)
}

// restarts runs the step as far as to the start of the new agent.
func (u updatable) restarts(a *steptest.Attempt) {
	u.Helper()
	if err := a.Run(u.Context(), u.kind); err != steptest.ErrRestart {
		u.Fatalf("got %v, want a start of the new agent", err)
	}
}

// holds asserts what lies in the agent's folder besides it.
func (u updatable) holds(binary []byte, want ...string) {
	u.Helper()
	if lies, err := os.ReadFile(u.kind.Path); err != nil || !slices.Equal(lies, binary) {
		u.Errorf("got another agent of %d bytes (%v), want one of %d", len(lies), err, len(binary))
	}
	files, err := os.ReadDir(u.dir)
	var got []string
	for _, f := range files {
		if f.Name() != "ratchetd" {
			got = append(got, f.Name())
		}
	}
	if err != nil || !slices.Equal(got, want) {
		u.Errorf("got %v (%v) beside the agent, want %v", got, err, want)
	}
}

func TestWhatIsNotTheNewAgentNeverTakesItsPlace(t *testing.T) {
	program := func(name string) []byte {
		text, err := os.ReadFile("/usr/bin/" + name)
		if err != nil {
			t.Skipf("this test needs %s", name)
		}
		return text
	}
	u := newUpdatable(t)
	other := slices.Clone(u.next)
	other[4] ^= 3 // of the other word size
	for _, c := range []struct {
		name    string
		release []byte
		want    string
	}{
		{"a script", []byte("#!/bin/sh\necho ratchetd version\n"), "not an ELF file"},
		{"another processor", other, "and this device is "},
		{"it fails", program("false"), "does not tell its version: .ratchetd"},
		{"another version", program("true"), "is version \"\", want version"},
		{"it cannot run with the configuration", program("basename"), "cannot run with the present configuration: "},
	} {
		a := u.job(c.release, "")
		steptest.WantError(t, a.Run(t.Context(), u.kind), c.want)
		u.holds(u.old, ".ratchetd.ratchet-part")
		if err := a.Undo(u.kind); err != nil {
			t.Errorf("%s: undo: %v", c.name, err)
		}
		u.holds(u.old)
	}
}

func TestOnlyASignedAgentIsInstalledWhereThereAreKeys(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	left := map[uint64][]string{0: {".ratchetd.old", ".ratchetd.trial"}, 1 << 30: {".ratchetd.old", ".ratchetd.ratchet-part", ".ratchetd.trial"}}
	for _, free := range []uint64{0, 1 << 30} {
		u := newUpdatable(t)
		u.kind.Keys = []string{public.String()}
		u.kind.Memory = func() (uint64, error) { return free, nil }
		quoted := func(content []byte) string {
			text, _ := json.Marshal(string(minisign.Sign(private, content)))
			return `,"signature":` + string(text)
		}
		a := u.job(u.next, quoted(u.old))
		steptest.WantError(t, a.Run(t.Context(), u.kind), "the new binary: ", "signature")
		if err := a.Undo(u.kind); err != nil {
			t.Error(err)
		}
		u.holds(u.old)
		u.restarts(u.job(u.next, quoted(u.next)))
		u.holds(u.next, left[free]...)
	}
}

func TestASignatureIsFetchedFromItsAddress(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u := newUpdatable(t)
	u.kind.Keys = []string{public.String()}
	signature := steptest.NewServer(t, minisign.Sign(private, u.next))
	signature.Fault = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
		return n == 1
	}
	u.restarts(u.job(u.next, fmt.Sprintf(`,"signature":%q`, signature.URL)))
	gone := steptest.NewServer(t, nil)
	gone.Fault = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	again := newUpdatable(t)
	again.kind.Keys = u.kind.Keys
	steptest.WantError(t, again.job(again.next, fmt.Sprintf(`,"signature":%q`, gone.URL)).Run(t.Context(), again.kind), "404")
	again.holds(again.old)
}

func TestAnAgentThatDoesNotStartIsToldByTheOldOne(t *testing.T) {
	u := newUpdatable(t)
	a := u.job(u.next, "")
	u.restarts(a)
	// What the service manager's scripts do.
	if err := errors.Join(os.Rename(updater.Old(u.kind.Path), u.kind.Path), os.Remove(updater.Trial(u.kind.Path))); err != nil {
		t.Fatal(err)
	}
	steptest.WantError(t, a.Run(t.Context(), u.kind), "version version did not start three times, so the service manager has put 1 back")
	steptest.WantError(t, u.kind.Confirm(t.Context(), a.Next()), "did not start three times")
	if err := a.Undo(u.kind); err != nil {
		t.Error(err)
	}
	u.holds(u.old)
}

func TestTheOldAgentStaysBesideTheNewOneUntilItIsForgotten(t *testing.T) {
	u := newUpdatable(t)
	a := u.job(u.next, "")
	u.restarts(a)
	u.holds(u.next, ".ratchetd.old", ".ratchetd.trial")
	steptest.WantError(t, u.kind.Confirm(t.Context(), a.Next()), "the agent that runs is not version")
	u.runs(u.next)
	if err := a.Run(t.Context(), u.kind); err != nil {
		t.Fatal(err)
	}
	u.holds(u.next, ".ratchetd.old", ".ratchetd.trial")
	for range 2 {
		if err := u.kind.Confirm(t.Context(), a.Next()); err != nil {
			t.Fatal(err)
		}
		u.holds(u.next, ".ratchetd.old")
	}
	for range 2 {
		if err := u.kind.Forget(); err != nil {
			t.Fatal(err)
		}
		u.holds(u.next)
	}
	steptest.WantError(t, a.Undo(u.kind), "putting back the old binary: it is gone")
}

// The rights that its owner gave the agent's file are the new agent's too, and the old
// one's when it comes back.
func TestTheAgentKeepsItsCapabilities(t *testing.T) {
	u := newUpdatable(t)
	const name = "security.capability"
	netRaw := []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(u.kind.Path, name, netRaw, 0); err != nil {
		t.Skip("no capabilities can be given here: ", err)
	}
	keeps := func(when string) {
		got := make([]byte, 64)
		n, err := unix.Getxattr(u.kind.Path, name, got)
		if err != nil || !slices.Equal(got[:max(n, 0)], netRaw) {
			t.Errorf("%s: got % x, %v", when, got[:max(n, 0)], err)
		}
	}
	a := u.job(u.next, "")
	u.restarts(a)
	u.holds(u.next, ".ratchetd.old", ".ratchetd.trial")
	keeps("the new agent")
	if err := a.Undo(u.kind); err != nil {
		t.Fatal(err)
	}
	u.holds(u.old)
	keeps("the old one again")
}

func TestAStartThatBringsAnotherBinaryIsGivenUp(t *testing.T) {
	u := newUpdatable(t)
	a := u.job(u.next, "")
	for range 4 {
		u.restarts(a) // and it is the old one again that runs
	}
	steptest.WantError(t, a.Run(t.Context(), u.kind), "the agent was started again 4 times")
	u.runs([]byte("a third one"))
	steptest.WantError(t, a.Run(t.Context(), u.kind), "somebody else has replaced it")
	if err := a.Undo(u.kind); err != nil {
		t.Fatal(err)
	}
	u.holds(u.old)
}

func TestABinaryInAPlaceThatCannotBeWrittenIsTold(t *testing.T) {
	u := newUpdatable(t)
	if os.Geteuid() != 0 {
		t.Skip("this test needs root: it mounts a disk")
	}
	if err := unix.Mount("tmpfs", u.dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("this system lets us mount nothing: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(u.dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(u.kind.Path, u.old, 0o755); err != nil {
		t.Fatal(err)
	}
	big := append(slices.Clone(u.next), make([]byte, 512<<10)...)
	steptest.WantError(t, u.job(big, "").Run(t.Context(), u.kind), "no room: ", u.dir)
	u.holds(u.old)
	if err := unix.Mount("", u.dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	steptest.WantError(t, u.job(u.next, "").Run(t.Context(), u.kind), u.dir+", where the agent's binary lies, cannot be written: read-only file system")
}

// TestABinaryThatIsAMountOfItsOwnIsTold before anything is fetched: nothing can take
// the place of what another file system shows there.
func TestABinaryThatIsAMountOfItsOwnIsTold(t *testing.T) {
	u := newUpdatable(t)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, u.old, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(other, u.kind.Path, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("it needs root and the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(u.kind.Path, unix.MNT_DETACH) })
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, u.kind.Path, 0, 0, &st); err != nil || st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		t.Skip("this kernel does not tell what is a mount")
	}
	a := u.job(u.next, "")
	steptest.WantError(t, a.Run(t.Context(), u.kind), u.kind.Path+" is a mount of its own")
	if a.Saves > 0 {
		t.Errorf("got %d checkpoints, want it told before anything is fetched", a.Saves)
	}
}

// TestAnAgentFromAPackageComesFromItsManager is with the real apt and dpkg.
func TestAnAgentFromAPackageComesFromItsManager(t *testing.T) {
	t.Parallel()
	r, u := steptest.NewAptRoot(t), newUpdatable(t)
	const inside = "/usr/bin/ratchetd"
	r.Put("build/ratchetd-1-all"+inside, string(u.old))
	r.Build("ratchetd", "1", "")
	r.Step(`{"manager":"apt","refresh":true,"install":["ratchetd"]}`)
	r.Put("dpkg-query", fmt.Sprintf("#!/bin/sh\n# The packages know the agent by its path inside %[1]s.\n"+
		"[ \"$1\" = --search ] && set -- --search \"${2#%[1]s}\"\nexec dpkg-query --root=%[1]s \"$@\"\n", r.Dir))
	if err := errors.Join(os.Chmod(r.Dir+inside, 0o755), os.Chmod(r.Dir+"/dpkg-query", 0o755)); err != nil {
		t.Fatal(err)
	}
	u.kind.Package, u.kind.Path = r.Kind, r.Dir+inside
	u.kind.Package.DpkgQuery = []string{r.Dir + "/dpkg-query"}
	a := steptest.NewAttempt(t, `{"url":"http://nowhere.invalid/","sha256":%q,"version":"2"}`, steptest.Digest(u.next))
	steptest.WantError(t, a.Run(t.Context(), u.kind), "package ratchetd has no version 2 to upgrade to: publish it, or use force: true")
	r.Put("build/ratchetd-2-all"+inside, string(u.next))
	r.Build("ratchetd", "2", "")
	u.restarts(a)
	r.Want("ratchetd 2")
	u.runs(u.next)
	u.kind.Version = "2"
	if err := errors.Join(a.Run(t.Context(), u.kind), u.kind.Confirm(t.Context(), a.Next())); err != nil {
		t.Fatal(err)
	}
	if err := a.Undo(u.kind); err != steptest.ErrRestart {
		t.Errorf("got %v, want the old agent to be started", err)
	}
	r.Want("ratchetd 1")
	u.runs(u.old)
	if err := a.Undo(u.kind); err != nil {
		t.Error(err)
	}
}
