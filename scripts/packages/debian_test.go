package packages

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// newBroker is one that lets everybody in, on the loopback; its address.
func newBroker(t *testing.T) (*mochi.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, err := range []error{s.AddHook(new(auth.AllowHook), nil), s.AddListener(listeners.NewNet("t", l)), s.Serve()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Close() })
	return s, l.Addr().String()
}

// debianRoot is a fresh root; the first one is kept as an archive in build/.
func debianRoot(t *testing.T) string {
	t.Helper()
	archive, err := filepath.Abs("../../build/debian-root.tar")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if _, err := os.Stat(archive); err != nil {
		made := filepath.Join(t.TempDir(), "root")
		run(t, ".", "debootstrap", "--variant=minbase", "bookworm", made)
		run(t, ".", "mkdir", "-p", filepath.Dir(archive))
		run(t, made, "tar", "-cf", archive+".new", "--exclude=./dev/*", "--exclude=./var/cache/apt/archives/*.deb", ".")
		run(t, ".", "mv", archive+".new", archive)
	}
	run(t, root, "tar", "-xf", archive)
	run(t, root, "cp", "-a", "/dev/null", "/dev/urandom", filepath.Join(root, "dev"))
	return root
}

// inRoot runs a script in another root, in namespaces that end with it; only
// the network is this machine's.
func inRoot(t *testing.T, root, script string, env ...string) string {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "script"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc="+filepath.Join(root, "proc"), "chroot", root, "/bin/sh", "/script")
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(root, "tmp/ratchetd.log"))
		t.Fatalf("%v\n%s\nratchetd: %s", err, out, log)
	}
	return string(out)
}

func TestE2EADebianIsInstalledUpgradedRemovedAndPurged(t *testing.T) {
	needs(t, true, "debootstrap", "unshare", "dpkg-deb")
	root := debianRoot(t)
	packages := filepath.Join(root, "packages")
	run(t, ".", "mkdir", packages)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		dir := t.TempDir()
		makePackages(t, dir, version, []string{"ratchetd-linux-amd64", "ratchet-linux-amd64"}, "deb/amd64")
		run(t, ".", "sh", "-c", "mv "+dir+"/*.deb "+packages)
	}
	_, address := newBroker(t)
	store, backup := newStore(t)
	out := inRoot(t, root, "testdata/debian.sh", "BROKER="+address, "STORE="+store)
	t.Logf("\n%s", out)
	for _, want := range []string{"ratchetd: next: ratchetd enroll --broker", "every subscription was granted", "the first job is done", "three recipes are done", "nothing was changed: this device was enrolled like that", "ratchetd 1.1.0", "the journal of 1.0.0 is read by 1.1.0", "nothing is left"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the transcript", want)
		}
	}
	if got := strings.Fields(backup()); !slices.Contains(got, "etc/fstab") {
		t.Errorf("the backup holds %s", got)
	}
}

// newStore takes what is put there by who has the token; backup lists what was
// in it last.
func newStore(t *testing.T) (address string, backup func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup.tar.gz")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/backups/gw-7.tar.gz" || r.Header.Get("Authorization") != "only-for-this-test" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), func() string { return run(t, ".", "tar", "-tzf", file) }
}
