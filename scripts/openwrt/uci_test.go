package openwrt

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/ratchetd/ratchet/agent/config"
)

// standIns makes a folder with ratchetd-uci, that /etc/config/ratchet, and stand-ins
// for OpenWrt's functions.sh and uci.
func standIns(t *testing.T, settings string) string {
	t.Helper()
	if _, err := exec.LookPath("busybox"); err != nil {
		t.Skip("busybox is not installed: make deps")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("ratchetd-uci")
	if err != nil {
		t.Fatal(err)
	}
	lib, err := filepath.Abs("../packages/testdata/openwrt")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ratchet":      settings,
		"ratchetd-uci": strings.NewReplacer("#!/bin/sh", "#!"+busybox(t)+" sh", "/lib/functions.sh", lib+"/functions").Replace(string(script)),
		"uci":          fmt.Sprintf("#!/bin/sh\nexec busybox sh %s/uci \"$@\"\n", lib),
	} {
		put(t, filepath.Join(dir, name), text)
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// busybox is where it lies; OpenWrt's shell is its.
func busybox(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// rendered runs ratchetd-uci on that /etc/config/ratchet and returns the TOML and
// what it said.
func rendered(t *testing.T, settings string) (text, said string, err error) {
	t.Helper()
	dir := standIns(t, settings)
	cmd := exec.Command(filepath.Join(dir, "ratchetd-uci"))
	cmd.Env = append(os.Environ(), "UCI_CONFIG_DIR="+dir, "PATH="+dir+":"+os.Getenv("PATH"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// table renders and reads the TOML back.
func table(t *testing.T, settings string) map[string]any {
	t.Helper()
	text, said, err := rendered(t, settings)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var got map[string]any
	if _, err := toml.Decode(text, &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return got
}

// rows are the options that ratchetd-uci knows.
func rows(t *testing.T) (rows [][]string) {
	t.Helper()
	script, err := os.ReadFile("ratchetd-uci")
	if err != nil {
		t.Fatal(err)
	}
	_, known, _ := strings.Cut(string(script), "KNOWN='")
	known, _, _ = strings.Cut(known, "'")
	for line := range strings.Lines(known) {
		if row := strings.Fields(line); len(row) > 2 && row[2] != "init" {
			rows = append(rows, row)
		}
	}
	if len(rows) < 30 {
		t.Fatalf("got %d rows", len(rows))
	}
	return rows
}

// value is what the test sets a key to.
func value(key string) string {
	switch key {
	case "qos", "replies":
		return "0"
	}
	return key + ` "b" \c`
}

// all sets every option that is known; each list gets its value twice.
func all(t *testing.T) string {
	t.Helper()
	sections := map[string]string{}
	for _, row := range rows(t) {
		section, name, form, v := row[0], row[1], row[2], value(row[4])
		line := fmt.Sprintf("\toption %s '%s'\n", name, v)
		switch form {
		case "texts":
			line = fmt.Sprintf("\tlist %[1]s '%[2]s'\n\tlist %[1]s '%[2]s'\n", name, v)
		case "pairs":
			line = fmt.Sprintf("\tlist %s 'name=%s'\n", name, v)
		}
		sections[section] += line
	}
	var text strings.Builder
	for section, lines := range sections {
		fmt.Fprintf(&text, "config %s '%s'\n%s", strings.Replace(section, "main", "ratchet", 1), section, lines)
	}
	return text.String()
}

func TestEveryOptionOfUCIReachesTheTOML(t *testing.T) {
	got := table(t, all(t))
	for _, row := range rows(t) {
		form, in, key := row[2], got, row[4]
		if row[3] != "-" {
			in, _ = got[row[3]].(map[string]any)
		}
		var want any = value(key)
		switch form {
		case "texts":
			want = []any{want, want}
		case "pairs":
			want = map[string]any{"name": want}
		case "number":
			want = int64(0)
		case "truth":
			want = false
		}
		if !reflect.DeepEqual(in[key], want) {
			t.Errorf("%s of [%s]: got %v, want %v", key, row[3], in[key], want)
		}
	}
}

// TestUCIKnowsWhatTheAgentKnows: each key of the TOML is a line of the table in
// ratchetd-uci, or belongs into conf.d alone; and each line is a key.
func TestUCIKnowsWhatTheAgentKnows(t *testing.T) {
	text, said, err := rendered(t, "config ratchet 'main'\n\toption broker 'tcp://b:1883'\nconfig policy 'policy'\n")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	file := filepath.Join(t.TempDir(), "ratchet.toml")
	put(t, file, text)
	config, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	got, want := []string{"-.alert", "-.schedule"}, keys(reflect.TypeOf(*config), "-")
	for _, row := range rows(t) {
		got = append(got, row[3]+"."+row[4])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("KNOWN of ratchetd-uci and conf.d have\n%s\nthe agent has\n%s", got, want)
	}
}

// keys are those that TOML has for the fields of a type, and of its tables.
func keys(of reflect.Type, table string) (all []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case tag == "":
		case f.Type.Kind() == reflect.Struct:
			all = append(all, keys(f.Type, tag)...)
		default:
			all = append(all, table+"."+tag)
		}
	}
	return all
}

// TestWhatUCIDoesNotKnowIsRefusedByName: a rule of the policy that is passed over
// opens the device.
func TestWhatUCIDoesNotKnowIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ section, line, want string }{
		// TOML's names.
		{"policy", "list keys 'RWQa'", "ratchet.policy.keys is not known: it is ratchet.policy.key"},
		{"policy", "option keys 'RWQa'", "it is ratchet.policy.key"},
		{"policy", "list paths '/opt'", "it is ratchet.policy.path"},
		{"policy", "list commands '/opt/*'", "it is ratchet.policy.command"},
		{"policy", "list urls 'a'", "it is ratchet.policy.url"},
		{"policy", "list users 'a'", "it is ratchet.policy.user"},
		{"policy", "option maxtime '1h'", "it is ratchet.policy.maxTime"},
		{"main", "list groups 'a'", "it is ratchet.main.group"},
		{"main", "list packages 'a'", "it is ratchet.main.package"},
		{"telemetry", "list alert 'a'", "what UCI does not carry belongs into /etc/ratchet/conf.d"},
		// In a section that is not theirs.
		{"main", "list allow 'config'", "it is ratchet.policy.allow"},
		{"main", "list path '/opt'", "it is ratchet.policy.path"},
		{"policy", "list vars 'a=b'", "it is ratchet.main.var"},
		// In nobody's words.
		{"policy", "option alow 'config'", "the options of policy are key allow command"},
		{"main", "option enable '1'", "the options of main are enabled"},
		// A list is none, and none is one.
		{"policy", "option key 'RWQa'", "ratchet.policy.key is a list: uci delete ratchet.policy.key, then uci add_list"},
		{"policy", "option reboot 'reboot -f'", "is a list"},
		{"main", "option tag 'a=b'", "is a list"},
		{"main", "list broker 'tls://b'", "is no list"},
		{"policy", "list maxSize '64MB'", "is no list"},
		// Set, and yet nothing.
		{"policy", "list key ''", "ratchet.policy.key is empty: give it a value"},
		{"policy", "option maxTime ''", "ratchet.policy.maxTime is empty"},
		{"main", "list tag ''", "is empty"},
		{"main", "list tag 'site'", "site is no NAME=VALUE"},
		{"telemetry", "option qos 'one'", "ratchet.telemetry.qos=one is no number"},
		{"aws", "option replies 'maybe'", "neither 1 nor 0"},
		// Sections.
		{"link", "option broker 'tls://b'", "the section link of type link is not known"},
		{"Policy", "list key 'RWQa'", "the section Policy of type Policy is not known"},
	} {
		sections := map[string]string{"main": "ratchet", "policy": "policy", c.section: c.section}
		sections["main"] = "ratchet"
		var settings strings.Builder
		for name, kind := range sections {
			fmt.Fprintf(&settings, "config %s '%s'\n", kind, name)
			if name == c.section {
				fmt.Fprintf(&settings, "\t%s\n", c.line)
			}
		}
		if text, said, err := rendered(t, settings.String()); err == nil || !strings.Contains(said, c.want) {
			t.Errorf("%s %s: got %q, %v and\n%s", c.section, c.line, said, err, text)
		}
	}
}

func TestSettingsThatAPowerCutAteAreRefused(t *testing.T) {
	for settings, want := range map[string]string{
		"":                                "the section main is missing",
		"config ratchet 'main'\n":         "the section policy is missing: uci set ratchet.policy=policy",
		"config policy\n\tlist key 'a'\n": "its name must be policy",
		"config policy 'policy'\n\tlist key RWQa": "cannot be read",
		"config ratchet 'policy'\n":               "its name must be main",
	} {
		if text, said, err := rendered(t, settings); err == nil || !strings.Contains(said, want) {
			t.Errorf("%q: got %q, %v and\n%s", settings, said, err, text)
		}
	}
	if text, said, err := rendered(t, "config ratchet 'main'\n\toption broker ''\nconfig policy 'policy'\n"); err != nil || strings.Contains(text, "broker") {
		t.Errorf("got %q, %v and\n%s", said, err, text)
	}
}
