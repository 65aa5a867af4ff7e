package telemetry

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/common"
)

const dpkgStatus = `Package: dropbear
Status: install ok installed
Depends: libc6
Description: small SSH server
 Version: 9 of it is in this text
Version: 2022.83-1

Package: removed
Status: deinstall ok config-files
Version: 1.0

Package: waits
Status: install ok triggers-awaited
Version: 3:4.5~rc1
`

func TestPackagesAreFoundWithWhateverManagerTheDeviceHas(t *testing.T) {
	for _, c := range []struct{ name, path, text string }{
		{"apt", "var/lib/dpkg/status", dpkgStatus},
		{"opkg on OpenWrt", "usr/lib/opkg/status", "Package: dropbear\nVersion: 2022.83-1\nStatus: install user installed\n\n" +
			"Package: removed\nVersion: 1.0\nStatus: deinstall user not-installed\n\nPackage: waits\nVersion: 3:4.5~rc1\nStatus: install hold installed\n"},
		{"opkg elsewhere", "var/lib/opkg/status", "Package: waits\nVersion: 3:4.5~rc1\nStatus: install ok installed\n\n" +
			"Package: dropbear\nVersion: 2022.83-1\nStatus: install user installed"},
		{"apk", "lib/apk/db/installed", "C:Q1abc=\nP:dropbear\nV:2022.83-1\nA:x86_64\nF:etc\n\nP:waits\nV:3:4.5~rc1\nD:so:libc\n\n"},
	} {
		root := t.TempDir()
		put(t, filepath.Join(root, c.path), c.text)
		got := new(Packages).Versions(rooted(t, root), []string{"dropbear", "removed", "waits", "nothing"})
		if want := map[string]string{"dropbear": "2022.83-1", "waits": "3:4.5~rc1"}; !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}

func TestPackagesAreReadAgainOnlyWhenAListOrTheNamesHaveChanged(t *testing.T) {
	root, p := t.TempDir(), &Packages{}
	list := filepath.Join(root, "var/lib/dpkg/status")
	put(t, list, "Package: a\nStatus: install ok installed\nVersion: 1\n")
	ctx, began := rooted(t, root), time.Now().Add(-time.Hour)
	stamped := func(text string, at time.Time) {
		t.Helper()
		put(t, list, text)
		if err := os.Chtimes(list, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(version string, names ...string) {
		t.Helper()
		if got := p.Versions(ctx, names)["a"]; got != version {
			t.Errorf("got version %q, want %q", got, version)
		}
	}
	stamped("Package: a\nStatus: install ok installed\nVersion: 1\n", began)
	want("1", "a")
	stamped("Package: a\nStatus: install ok installed\nVersion: 2\n", began) // unseen: nothing tells of it
	want("1", "a")
	want("2", "a", "b")
	stamped("Package: a\nStatus: install ok installed\nVersion: 3\n", began.Add(time.Second))
	want("3", "a", "b")
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	want("", "a", "b")
}

func TestADeviceWithoutAnyPackageManagerHasNoPackages(t *testing.T) {
	if got := new(Packages).Versions(rooted(t, t.TempDir()), []string{"a"}); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty map", got)
	}
}

// rooted is a context in which the device's files lie below root.
func rooted(t *testing.T, root string) context.Context {
	return context.WithValue(t.Context(), common.EnvKey, common.EnvMap{common.HostRootEnvKey: root})
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
