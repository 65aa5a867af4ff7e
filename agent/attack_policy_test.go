package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// attacksOnThePolicy are signed jobs that want more than the device's owner lets
// them.
var attacksOnThePolicy = []attack{
	{"a program that becomes another user's by its mode", underPolicy(`users = ["app"]`, "policy.users", map[string]string{
		"file":     `{"path":"/srv/x","content":"","mode":"4755"}`,
		"config":   `{"files":[{"path":"/srv/x","content":"","mode":"2755"}]}`,
		"download": `{"url":"http://127.0.0.1:9/x","sha256":"` + noSum + `","to":"/srv/x","mode":"6755"}`,
	})},
	{"a program of a job that may not run any", underPolicy(`allow = ["file", "config", "diagnostic"]`, "policy.allow", map[string]string{
		"diagnostic": `{"checks":[{"command":["/bin/true"]}]}`,
		"config":     `{"files":[{"path":"/srv/x","content":""}],"apply":["/bin/true"]}`,
		"file":       `{"path":"/srv/x","content":""},"confirm":{"within":"1m","check":{"command":["/bin/true"]}}`,
	})},
	{"a variable that steers a program of the owner's", underPolicy(`commands = ["/bin/true"]`, "policy.env", map[string]string{
		"command": `{"argv":["/bin/true"],"env":{"TAR_OPTIONS":"--checkpoint=1 --checkpoint-action=exec=sh"}}`,
	})},
	{"a PATH to a program of its own, where env allows all", underPolicy("commands = [\"/bin/true\", \"/usr/bin/true\"]\nenv = [\"*\"]", "argv[0]", map[string]string{
		"command": `{"argv":["true"],"env":{"PATH":"/srv/bin"}}`,
	})},
	{"a program of its own where commands names one", underPolicy(`commands = ["/srv/bin/*"]`, "policy.commands", map[string]string{
		"file":     `{"path":"/srv/bin/x","content":"#!/bin/sh\n","mode":"0755"}`,
		"download": `{"url":"http://127.0.0.1:9/x","sha256":"` + noSum + `","to":"/srv/bin/x"}`,
	})},
	{"the same, where a link of the owner's leads to it", programBehindLink},
	{"the launcher as a program of the owner's", underPolicy(`commands = ["/usr/libexec/*/*"]`, "it starts whatever it is given", map[string]string{
		"command": `{"argv":["/usr/libexec/ratchetd/ratchetd-start","/bin/sh"]}`,
	})},
	{"a host beyond the list, by a check", underPolicy(`urls = ["*.example.com"]`, "policy.urls", map[string]string{
		"diagnostic": `{"checks":[{"tcp":"127.0.0.1:22"}]}`,
		"file":       `{"path":"/srv/x","content":""},"confirm":{"within":"1m","check":{"http":"http://127.0.0.1:9/"}}`,
		"reboot":     `{},"check":{"tcp":"[::1]:22"},"ifInterrupted":"verify"`,
	})},
	{"a host beyond the list, by the zone of its address", underPolicy(`urls = ["*.example.com"]`, "policy.urls", map[string]string{
		"download":   `{"url":"http://[2001:db8::1%25x.example.com]/","sha256":"` + noSum + `","to":"/srv/x"}`,
		"upload":     `{"url":"http://[2001:db8::1%25x.example.com]/","paths":["/etc/hostname"]}`,
		"diagnostic": `{"checks":[{"tcp":"[2001:db8::1%x.example.com]:22"}]}`,
	})},
	{"a file to read beyond the list", underPolicy(`read = ["/srv"]`, "policy.read", map[string]string{
		"diagnostic": `{"checks":[{"file":"/etc/shadow"}]}`,
	})},
	{"a unit that takes the board down", underPolicy(``, "policy.services", map[string]string{
		"service": `{"name":"poweroff.target","action":"start"}`,
	})},
	{"a unit that hands out the board's disks", underPolicy(``, "policy.services", map[string]string{
		"service": `{"name":"systemd-storagetm","action":"start"}`,
	})},
	{"a secret that is not for jobs", underPolicy(`secrets = ["wifi-*"]`, "policy.secrets", map[string]string{
		"file":     `{"path":"/srv/x","content":{"secret":"vpn"}}`,
		"command":  `{"argv":["true"],"env":{"K":{"secret":"vpn"}}}`,
		"download": `{"url":"http://127.0.0.1:9/x","sha256":"` + noSum + `","to":"/srv/x","headers":{"A":{"secret":"vpn"}}}`,
		"config":   `{"files":[{"path":"/srv/x","content":{"jq":"","secret":"vpn"}}]}`,
	})},
	{"the job file of an alert", underPolicy(``, "is protected", map[string]string{
		"file": `{"path":"DIR/repairs/cool.json","content":"{}"}`,
	})},
	{"a new file beside the configuration", underPolicy(``, "is protected", map[string]string{
		"file":     `{"path":"DIR/later.toml","content":"{}"}`,
		"config":   `{"files":[{"path":"DIR/sub/x","content":""}]}`,
		"download": `{"url":"http://127.0.0.1:9/x","sha256":"` + noSum + `","to":"DIR/x"}`,
	})},
	{"the overlay's upper directory of the configuration", upperDirectory},
	{"the agent's memory, by another mount of /proc", secondProc},
}

var noSum = strings.Repeat("0", 64)

// underPolicy has a device with these lines of policy judge steps, each of which
// must be refused by the rule. A step that has more than its kind's parameters
// follows them behind a comma.
func underPolicy(lines, rule string, steps map[string]string) func(f *fort) string {
	return func(f *fort) string {
		f.govern(lines)
		for kind, with := range steps {
			text := fmt.Sprintf(`{"id":"j","expires":"2099-01-01T00:00:00Z","audience":["all"],"steps":[{"name":"s",%q:%s}]}`,
				kind, strings.ReplaceAll(with, "DIR", f.dir))
			if _, err := f.judged("j", []byte(signed(f.first, text))); err == nil || !strings.Contains(err.Error(), rule) {
				f.Errorf("%s: got %v, want it refused by %s", kind, err, rule)
			}
		}
		return fmt.Sprintf("rejected, ways: %d: %s", len(steps), rule)
	}
}

// govern starts the device again with more lines in [policy], and an alert whose
// job lies elsewhere.
func (f *fort) govern(lines string) {
	f.stop()
	config := strings.TrimSpace(readAll(f.T, filepath.Join(f.dir, "ratchet.toml")))
	if err := os.Mkdir(filepath.Join(f.dir, "repairs"), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		f.Fatal(err)
	}
	f.write("repairs/cool.json", `{"id":"cool","steps":[{"name":"s","command":{"argv":["true"]}}]}`)
	f.write("ratchet.toml", config+"\n"+strings.ReplaceAll(lines, "DIR", f.dir)+
		"\n[[alert]]\nname = \"hot\"\nwhen = \".cpu.percent > 101\"\nrun = \"repairs/cool.json\"\n")
	f.start().online(f.b)
}

// programBehindLink tries to write the programs that the owner names by links, as a
// merged /usr and a folder of releases have them.
func programBehindLink(f *fort) string {
	in := func(name string) string { return filepath.Join(f.files, name) }
	must(f, errors.Join(
		os.MkdirAll(in("usr/bin"), 0o755), os.Symlink("usr/bin", in("bin")),
		os.MkdirAll(in("app/7"), 0o755), os.Symlink("7", in("app/current")),
		os.WriteFile(in("app/7/run"), nil, 0o755), os.Symlink(in("app/current/run"), in("usr/bin/run")),
	))
	fill := strings.NewReplacer("FILES", f.files).Replace
	return underPolicy(fill(`commands = ["FILES/bin/*"]`), "policy.commands", map[string]string{
		"file":       fill(`{"path":"FILES/app/7/run","content":"#!/bin/sh\n"}`),
		"config":     fill(`{"files":[{"path":"FILES/app/current","absent":true}]}`),
		"download":   fill(`{"url":"http://127.0.0.1:9/x","sha256":"` + noSum + `","to":"FILES/bin/new","mode":"0755"}`),
		"diagnostic": fill(`{"checks":[{"disk":"/"}],"collect":{"to":"FILES/usr/bin/new"}}`),
		"data":       fill(`{"inputs":["/etc/hostname"],"format":"text","jq":"inputs","output":"FILES/app/current/run"}`),
	})(f)
}

// upperDirectory tries the configuration by the directory that an overlay keeps
// it in, as OpenWrt's does.
func upperDirectory(f *fort) string {
	if os.Geteuid() != 0 {
		f.Skip("only root can mount")
	}
	f.stop()
	disk, root := f.TempDir(), f.TempDir()
	mount := func(source, target, kind, data string) {
		if err := unix.Mount(source, target, kind, 0, data); err != nil {
			f.Skipf("nothing can be mounted here: %v", err)
		}
		f.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
	}
	mount("tmpfs", disk, "tmpfs", "")
	for _, d := range []string{"lower", "upper", "work"} {
		must(f, os.Mkdir(filepath.Join(disk, d), 0o755))
	}
	mount("overlay", root, "overlay", fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", disk))
	config := readAll(f.T, filepath.Join(f.dir, "ratchet.toml"))
	f.dir = root
	f.write("ratchet.toml", config)
	f.write("link.key", "secret")
	f.start().online(f.b)
	tried := 0
	for _, name := range []string{"ratchet.toml", "link.key", "keys.json", "conf.d/x.toml"} {
		for kind, with := range map[string]string{
			"file":   `{"path":%[1]q,"content":""}`,
			"config": `{"files":[{"path":%[1]q,"content":""}]}`,
		} {
			tried++
			text := fmt.Sprintf(`{"id":"j","expires":"2099-01-01T00:00:00Z","audience":["all"],"steps":[{"name":"s",%q:%s}]}`, kind,
				fmt.Sprintf(with, filepath.Join(disk, "upper", name)))
			if _, err := f.judged("j", []byte(signed(f.first, text))); err == nil || !strings.Contains(err.Error(), "is protected") {
				f.Errorf("%s of %s: got %v", kind, name, err)
			}
		}
	}
	return fmt.Sprintf("rejected, %d ways", tried)
}

// secondProc tries what /proc shows of the agent by a mount such as a container's
// root has.
func secondProc(f *fort) string {
	if os.Geteuid() != 0 {
		f.Skip("only root can mount")
	}
	dir := f.TempDir()
	if err := unix.Mount("proc", dir, "proc", 0, ""); err != nil {
		f.Skipf("nothing can be mounted here: %v", err)
	}
	f.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	got := f.step("upload", map[string]any{"url": "http://127.0.0.1:9/x", "paths": []string{dir + "/self/environ"}})
	return strings.ReplaceAll(got, dir, "DIR")
}
