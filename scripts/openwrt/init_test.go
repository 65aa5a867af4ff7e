package openwrt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// started sources the init script beside the stand-ins, has it start the service in
// dir, and returns what procd and the log were told.
func started(t *testing.T, dir string) string {
	t.Helper()
	script, err := os.ReadFile("ratchet.init")
	if err != nil {
		t.Fatal(err)
	}
	functions, err := filepath.Abs("../packages/testdata/openwrt/functions")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.NewReplacer("/etc/ratchet/", dir+"/", "mkdir -p /etc/ratchet", ":", "/usr/libexec/ratchetd/", dir+"/", "/usr/sbin/ratchetd", dir+"/ratchetd")
	put(t, filepath.Join(dir, "script"), `. `+functions+`
procd_open_instance() { echo started; }
procd_set_param() { :; }
procd_append_param() { :; }
procd_close_instance() { :; }
logger() { echo "$*"; }
`+at.Replace(string(script))+`
start_service || echo "failed"
`)
	cmd := exec.Command("busybox", "sh", filepath.Join(dir, "script"))
	cmd.Env = append(os.Environ(), "UCI_CONFIG_DIR="+dir, "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestTheLastGoodSettingsStay: an agent whose settings are not taken goes on with
// those before; without any it does not run, because what is left out of a policy
// is open.
func TestTheLastGoodSettingsStay(t *testing.T) {
	const (
		header = "# Rendered from /etc/config/ratchet\n"
		main   = "config ratchet 'main'\n\toption broker 'tcp://b:1883'\n"
	)
	for _, c := range []struct {
		name, settings, before string
		want                   string // what is said
		stays                  bool   // the TOML is as before
	}{
		{"known", main + "config policy 'policy'\n\tlist key 'RWQa'\n", "", "started", false},
		{"known, changed", main + "config policy 'policy'\n\tlist key 'RWQa'\n", header + "before", "started", false},
		{"TOML's name", main + "config policy 'policy'\n\tlist keys 'RWQa'\n", header + "before",
			"ratchet.policy.keys is not known: it is ratchet.policy.key\nstarted", true},
		{"TOML's name, the first", main + "config policy 'policy'\n\tlist keys 'RWQa'\n", "",
			"there are none before it, so the agent does not start: ratchetd-uci: /etc/config/ratchet: ratchet.policy.keys is not known: it is ratchet.policy.key\nfailed", true},
		{"empty", "", header + "before", "the section main is missing: uci set ratchet.main=ratchet, with what belongs in it\nstarted", true},
		{"empty, the first", "", "", "failed", true},
		{"not for the agent", main + "\toption device 'BAD'\nconfig policy 'policy'\n", header + "before", "not taken, the settings before stay: BAD is bad\nstarted", true},
		{"not for the agent, the first", main + "\toption device 'BAD'\nconfig policy 'policy'\n", "", "started", false},
		{"the owner's own", main + "config policy 'policy'\n\tlist keys 'RWQa'\n", "# mine\n", "started", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := standIns(t, c.settings)
			file := filepath.Join(dir, "ratchet.toml")
			if c.before != "" {
				put(t, file, c.before)
			}
			put(t, filepath.Join(dir, "ratchetd"), "#!/bin/sh\ngrep -q BAD \"$3\" || exit 0\necho BAD is bad >&2\nexit 1\n")
			if err := os.Chmod(filepath.Join(dir, "ratchetd"), 0o755); err != nil {
				t.Fatal(err)
			}
			if said := started(t, dir); !strings.Contains(said, c.want) || strings.Contains(said, "started") != strings.Contains(c.want, "started") {
				t.Errorf("got %s want %s", said, c.want)
			}
			text, _ := os.ReadFile(file) // there may be none
			if stays := string(text) == c.before; stays != c.stays {
				t.Errorf("got\n%s", text)
			}
			if _, err := os.Stat(file + ".new"); err == nil {
				t.Error("ratchet.toml.new is left")
			}
		})
	}
}
