package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openwrtRoot is busybox with stand-ins for what is OpenWrt's own, that package
// manager among them.
func openwrtRoot(t *testing.T, manager string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"bin", "sbin", "usr/bin", "usr/sbin", "etc/config", "etc/rc.d", "lib", "proc", "tmp", "dev", "root", "feed", "packages", "usr/lib", "var/run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, root, "cp", "/bin/busybox", "bin/busybox")
	// One that is not static wants its libraries too.
	run(t, root, "sh", "-c", `for lib in $(ldd /bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p ".${lib%/*}" && cp -L "$lib" ".$lib"; done`)
	run(t, root, "cp", "-a", "/dev/null", "/dev/urandom", "/dev/zero", "dev")
	run(t, root, "chroot", root, "/bin/busybox", "--install", "-s", "/bin")
	for from, to := range map[string]string{"functions": "lib/functions.sh", "rc.common": "etc/rc.common", "uci": "sbin/uci", "reload_config": "sbin/reload_config", manager: "usr/bin/" + manager} {
		run(t, ".", "install", "-m", "755", "testdata/openwrt/"+from, filepath.Join(root, to))
	}
	for name, text := range map[string]string{
		"etc/openwrt_release": "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='24.10.6'\n",
		"etc/opkg.arch":       "x86_64\n",
		"etc/apk/arch":        "x86_64\n",
		"etc/apk/world":       "ratchetd\n",
		"etc/ratchet/device":  "router-7\n", // another root has no network card to make an id from
		"etc/config/other":    "config other 'other'\n",
		"etc/passwd":          "root:x:0:0:root:/root:/bin/sh\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestE2EALifeOnOpenWrt(t *testing.T) {
	needs(t, true, "busybox", "unshare")
	packages := t.TempDir()
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		dir := t.TempDir()
		makePackages(t, dir, version, []string{"ratchetd-linux-amd64"}, "ipk/x86_64", "apk/x86_64")
		run(t, ".", "sh", "-c", "mv "+dir+"/*pk "+packages)
	}
	for format, manager := range map[string]string{"ipk": "opkg", "apk": "apk"} {
		t.Run(format, func(t *testing.T) {
			root := openwrtRoot(t, manager)
			run(t, ".", "sh", "-c", "cp "+packages+"/* "+filepath.Join(root, "packages"))
			_, address := newBroker(t)
			out := inRoot(t, root, "testdata/openwrt.sh", "BROKER="+address, "FORMAT="+format)
			t.Logf("\n%s", out)
			if !strings.Contains(out, "== removed: it is stopped, and its state stays") {
				t.Error("it did not come to its end")
			}
		})
	}
}
