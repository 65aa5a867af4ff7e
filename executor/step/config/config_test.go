package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestConfigRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                                    "want files, uci or both",
		`{"files":[{"path":"a","content":""}]}`: "files[0]: path: ",
		`{"files":[{"path":"/a"}]}`:             "files[0]: want exactly one of",
		`{"files":[{"path":"/a","content":"1"},{"path":"/a","absent":true}]}`:            "/a: given twice",
		`{"files":[{"path":"/etc/config/lan","content":""}],"uci":{"lan.a.b":"c"}}`:      "/etc/config/lan: given twice",
		`{"files":[{"path":"/a","content":""}],"apply":[]}`:                              "apply: want a program",
		`{"files":[{"path":"/a","content":""}],"validate":[""]}`:                         "validate: want a program",
		`{"files":[{"path":"/a","content":""}],"aply":["true"]}`:                         "aply: unknown field",
		`{"uci":{"wireless":"x"}}`:                                                       "uci.wireless: want package.section",
		`{"uci":{"../passwd.a.b":"x"}}`:                                                  "uci.../passwd.a.b: want package.section",
		`{"uci":{"a.b.c.d":"x"}}`:                                                        "uci.a.b.c.d: ",
		`{"uci":{"a.@b[-1].c":"x"}}`:                                                     "uci.a.@b[-1].c: ",
		`{"uci":{"a.b.c d":"x"}}`:                                                        "uci.a.b.c d: ",
		`{"uci":{"a.b.c\nset x.y.z=1":"x"}}`:                                             "want package.section",
		`{"uci":{"a.b.c":36}}`:                                                           "uci.a.b.c: want a string",
		`{"uci":{"a.b.c":["x",["y"]]}}`:                                                  "uci.a.b.c: want a string",
		`{"uci":{"a.b.c":"bell\u0007"}}`:                                                 "uci.a.b.c: holds a control character",
		`{"uci":{"a.b.c":["x",""]}}`:                                                     "uci.a.b.c: holds an empty string",
		`{"uci":{"a.b":["x"]}}`:                                                          "uci.a.b: the value of a section is its type",
		`{"uci":{"a.@b[0]":"x"}}`:                                                        "uci.a.@b[0]: the value of a section is its type",
		`{"uci":{"a.b":"two words"}}`:                                                    "uci.a.b: \"two words\": want the type",
		`{"uci":{"a.b":null,"a.b.c":"x"}}`:                                               "uci.a.b.c: a.b is deleted by the same step",
		`{"uci":{"a.b.c":{"secret":"../x"}}}`:                                            "uci.a.b.c: secret: ",
		`{"uci":{"a.b.c":"x"},"validate":["a\u0000b"]}`:                                  "validate: [0]: holds a NUL byte",
		`{"uci":{"a.b.c":"x"},"apply":["a",{"secret":"s"}]}`:                             "apply[1]: a secret must not stand here",
		`{"uci":{"a.b.c":"x","a.b.c":"y"}}`:                                              "given twice",
		`{"files":{"path":"/a"}}`:                                                        "files: ",
		`{"files":[{"path":"/a","content":"","mode":"0999"}],"uci":{"a.b.c":["d","e"]}}`: "files[0]: mode: ",
	} {
		steptest.WantError(t, config.Kind{}.Check([]byte(with)), want)
	}
	for _, with := range []string{
		`{"uci":{"a.b.c":{"jq":".vars.x"},"a.b.d":{"secret":"psk"},"a.b.e":[{"jq":".vars.y"},"z"],"a.b.f":null,"a.@b[0].g":""}}`,
		`{"files":[{"path":"/a","content":"1"}],"validate":[{"jq":".vars.x"}],"apply":["ifup",{"jq":".vars.y"}]}`,
		`{"files":[{"path":"/a","content":"1"},{"path":"/b","absent":true}],"validate":["true"],"apply":["true"]}`,
	} {
		if err := (config.Kind{}).Check([]byte(with)); err != nil {
			t.Errorf("%s: %v", with, err)
		}
	}
}

// newUCI is a folder with a UCI package, and the kind that works on it.
func newUCI(t *testing.T) (dir string, kind config.Kind) {
	dir = t.TempDir()
	if err := steptest.Wireless(dir); err != nil {
		t.Fatal(err)
	}
	return dir, config.Kind{UCI: steptest.StandIn(t, "uci/uci"), UCIDir: dir}
}

func TestUCIIsChangedAsTheJobSays(t *testing.T) {
	const iface0, iface1 = "\nconfig wifi-iface\n\toption ssid 'guests'\n", "\nconfig wifi-iface\n\toption ssid 'it'\\''s \"ours\"'\n"
	radio := func(channel, list, more string) string {
		return "\nconfig wifi-device 'radio0'\n" + channel + list + "\toption country 'DE'\n" + more
	}
	const channel, list = "\toption channel 'auto'\n", "\tlist scan_list '1'\n\tlist scan_list '6'\n"
	for uci, want := range map[string]string{
		`"wireless.radio0.channel":"36"`:                                               radio("\toption channel '36'\n", list, "") + iface0 + iface1,
		`"wireless.radio0.channel":null`:                                               radio("", list, "") + iface0 + iface1,
		`"wireless.radio0.channel":""`:                                                 radio("", list, "") + iface0 + iface1,
		`"wireless.radio0.channel":["36"]`:                                             radio("\tlist channel '36'\n", list, "") + iface0 + iface1,
		`"wireless.radio0.scan_list":["ratchet","a b"]`:                                radio(channel, "\tlist scan_list 'ratchet'\n\tlist scan_list 'a b'\n", "") + iface0 + iface1,
		`"wireless.radio0.scan_list":[]`:                                               radio(channel, "", "") + iface0 + iface1,
		`"wireless.radio0.key":"it's \"$x\" \\ #1\nand 2"`:                             radio(channel, list, "\toption key 'it'\\''s \"$x\" \\ #1\nand 2'\n") + iface0 + iface1,
		`"wireless.@wifi-iface[1].ssid":"x","wireless.@wifi-iface[0]":null`:            radio(channel, list, "") + "\nconfig wifi-iface\n\toption ssid 'x'\n",
		`"wireless.@wifi-iface[0]":null,"wireless.@wifi-iface[1]":null`:                radio(channel, list, ""),
		`"wireless.radio0":null,"wireless.gone.x":null,"wireless.@wifi-iface[7]":null`: iface0 + iface1,
		`"wireless.home.ssid":"h","wireless.home":"wifi-iface"`:                        radio(channel, list, "") + iface0 + iface1 + "\nconfig wifi-iface 'home'\n\toption ssid 'h'\n",
	} {
		dir, kind := newUCI(t)
		a := steptest.NewAttempt(t, `{"uci":{%s}}`, uci)
		for range 2 {
			if err := a.Run(t.Context(), kind); err != nil {
				t.Errorf("%s: %v", uci, err)
			}
			steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(want+"\n"))
		}
		if err := a.Undo(kind); err != nil {
			t.Errorf("%s: undo: %v", uci, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
	}
}

func TestAPackageThatIsSoIsNotTouched(t *testing.T) {
	dir, kind := newUCI(t)
	a := steptest.NewAttempt(t, `{"uci":{"wireless.radio0.channel":"auto","wireless.radio0.scan_list":["1","6"],"wireless.radio0.nope":null,"none.a.b":null}}`)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil || a.Saves > 0 {
		t.Errorf("got %d saves and a package none (%v), want nothing done", a.Saves, err)
	}
}

func TestAPackageIsMadeWhenItIsAbsent(t *testing.T) {
	dir, kind := newUCI(t)
	a := steptest.NewAttempt(t, `{"uci":{"vpn.main":"tunnel","vpn.main.peer":["a","b"]}}`)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "vpn"), []byte("\nconfig tunnel 'main'\n\tlist peer 'a'\n\tlist peer 'b'\n\n"))
	if info, err := os.Stat(filepath.Join(dir, "vpn")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
	if err := a.Undo(kind); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "vpn")); err == nil {
		t.Error("the package is still there after undo")
	}
}

func TestUCIFailsClearly(t *testing.T) {
	dir, kind := newUCI(t)
	for uci, want := range map[string]string{
		`"wireless.radio1.channel":"36"`:                          "uci: package wireless: wireless.radio1.channel: uci: refused: uci: Invalid argument",
		`"wireles.radio0.channel":"36"`:                           "uci: package wireles: wireles.radio0.channel: ",
		`"wireless.radio0.a":"1","wireless.@wifi-iface[9].b":"2"`: "wireless.@wifi-iface[9].b: ",
	} {
		a := steptest.NewAttempt(t, `{"uci":{%s}}`, uci)
		steptest.WantError(t, a.Run(t.Context(), kind), want)
		if err := a.Undo(kind); err != nil {
			t.Error(err)
		}
	}
	steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
	for program, want := range map[string]string{"no-such-uci": "not found", "/bin/true": "is it OpenWrt's?"} {
		kind.UCI = program
		steptest.WantError(t, steptest.NewAttempt(t, `{"uci":{"wireless.a.b":"c"}}`).Run(t.Context(), kind), want)
	}
}

// TestASecretIsOnNoCommandLine checks what uci is started with against the value
// that a secret was filled in with.
func TestASecretIsOnNoCommandLine(t *testing.T) {
	dir, kind := newUCI(t)
	log := filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >> %s\nexec %s \"$@\"\n", log, kind.UCI)
	kind.UCI = filepath.Join(dir, "wrapped")
	if err := os.WriteFile(kind.UCI, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"uci":{"wireless.radio0.key":"hunter2hunter2","wireless.radio0.keys":["hunter2hunter2"]}}`)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	started, err := os.ReadFile(log)
	if err != nil || len(started) == 0 || strings.Contains(string(started), "hunter2") {
		t.Errorf("got %q, %v, want command lines without the value", started, err)
	}
}

// TestAPathInValidateMeansTheNewFile: who names the real one wants the check to be of
// what is to lie there.
func TestAPathInValidateMeansTheNewFile(t *testing.T) {
	dir, kind := newUCI(t)
	file := filepath.Join(dir, "f")
	steptest.WriteFile(t, file, "old")
	a := steptest.NewAttempt(t, `{"files":[{"path":%q,"content":"new "}],"validate":["sh","-c","cat $1 ${2#--file=} $3","x",%q,%q,%q]}`, file, file, "--file="+file, file+".")
	steptest.WantError(t, a.Run(t.Context(), kind), "exit status 1")
	if got := a.Out.String(); got != "new new " {
		t.Errorf("validate saw %q, want the new file twice", got)
	}
	for word, want := range map[string]bool{
		"visudo -cf /etc/x":                            true,
		"visudo -cf '/etc/x' && cat $RATCHET_PREPARED": true,
		"visudo -cf $RATCHET_PREPARED/etc/x":           false,
		"visudo -cf ${RATCHET_PREPARED}/etc/x":         false,
		"visudo -cf \"$RATCHET_PREPARED\"/etc/x":       false,
		"visudo -cf ./etc/x":                           false,
		"visudo -cf /etc/x.d/y":                        false,
		"visudo -cf /etc/x.d/y /etc/x":                 true,
		"/etc/x":                                       false,
		"--file=/etc/x":                                false,
		"echo":                                         false,
	} {
		with := fmt.Appendf(nil, `{"files":[{"path":"/etc/x","content":""}],"validate":["sh","-c",%q]}`, word)
		warned := kind.Describe(executor.Step{With: with}).Warnings
		if got := len(warned) > 0; got != want {
			t.Errorf("%s: got warnings %q, want one: %v", word, warned, want)
		}
	}
}

// TestValidateComesBeforeAnyChange: a check that fails leaves all as it was, and
// sees the new files under their own names.
func TestValidateComesBeforeAnyChange(t *testing.T) {
	dir, kind := newUCI(t)
	file, mark := filepath.Join(dir, "f"), filepath.Join(dir, "applied")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`cat .%s $RATCHET_PREPARED%s && %s -c .%s -P ./changes get wireless.radio0.channel; cat %s; exit 3`, file, file, kind.UCI, dir, file)
	a := steptest.NewAttempt(t, `{"files":[{"path":%q,"content":"new "}],"uci":{"wireless.radio0.channel":"44"},"validate":["sh","-c",%q],"apply":["touch",%q]}`, file, script, mark)
	steptest.WantError(t, a.Run(t.Context(), kind), "validate: nothing was changed: sh: exit status 3")
	if got := a.Out.String(); got != "new new 44\nold" {
		t.Errorf("validate saw %q, want the new file twice, the new channel and the old file", got)
	}
	if err := a.Undo(kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, file, []byte("old"))
	steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
	left, _ := filepath.Glob(filepath.Join(dir, ".*ratchet*"))
	if _, err := os.Stat(mark); err == nil || len(left) > 0 {
		t.Errorf("got apply run (%v) and %v left, want neither", err, left)
	}
}

// TestAnApplyThatFailsIsUndone: undo brings everything back as it was before
// the first of several attempts, and applies that.
func TestAnApplyThatFailsIsUndone(t *testing.T) {
	dir, kind := newUCI(t)
	file, link, fresh := filepath.Join(dir, "f"), filepath.Join(dir, "link"), filepath.Join(dir, "d/fresh")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod(file, 0o2750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("wireless", link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("cat %s; ! grep -q new %[1]s", file)
	a := steptest.NewAttempt(t, `{"files":[{"path":%q,"content":"new","mode":"0644"},{"path":%q,"absent":true},{"path":%q,"content":"x"}],"apply":["sh","-c",%q]}`, file, link, fresh, script)
	for range 3 {
		steptest.WantError(t, a.Run(t.Context(), kind), "apply: sh: exit status 1")
	}
	steptest.WantFile(t, file, []byte("new"))
	for range 2 {
		if err := a.Undo(kind); err != nil {
			t.Fatal(err)
		}
		steptest.WantFile(t, file, []byte("old"))
	}
	after, err := os.Stat(file)
	to, linkErr := os.Readlink(link)
	if err != nil || after.Mode() != before.Mode() || to != "wireless" {
		t.Errorf("got %v %v, a link to %q %v, want all as before", after.Mode(), err, to, linkErr)
	}
	if _, err := os.Stat(filepath.Dir(fresh)); err == nil {
		t.Error("the new folder is still there")
	}
	if got := a.Out.String(); got != "newnewnewoldold" {
		t.Errorf("apply saw %q, want newnewnewoldold", got)
	}
}

func TestAnUndoThatCannotApplySaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	a := steptest.NewAttempt(t, `{"files":[{"path":%q,"content":"new"}],"apply":["false"]}`, file)
	steptest.WantError(t, a.Run(t.Context(), config.Kind{}), "apply: false: exit status 1")
	steptest.WantError(t, a.Undo(config.Kind{}), "the old files are back, but not in use: apply: ")
	if _, err := os.Stat(file); err == nil {
		t.Error("the new file is still there")
	}
}

func TestConfigKeepsToThePolicy(t *testing.T) {
	dir, kind := newUCI(t)
	elsewhere := t.TempDir()
	for _, tt := range []struct {
		policy     policy.Policy
		with, want string
	}{
		{policy.Policy{Protected: []string{dir}}, `{"files":[{"path":"DIR/f","content":"x"}]}`, "is protected: it cannot be written by a job"},
		{policy.Policy{Protected: []string{dir}}, `{"uci":{"wireless.radio0.channel":"36"}}`, "is protected: it cannot be written by a job"},
		{policy.Policy{Paths: []string{elsewhere}}, `{"uci":{"wireless.radio0.channel":"36"}}`, "policy.paths"},
		{policy.Policy{Commands: []string{"/usr/bin/wifi"}}, `{"uci":{"wireless.radio0.channel":"36"},"apply":["/bin/true"]}`, "apply: /bin/true: policy.commands"},
		{policy.Policy{Commands: []string{"/usr/bin/wifi"}}, `{"uci":{"wireless.radio0.channel":"36"},"validate":["/bin/true"]}`, "validate: /bin/true: policy.commands"},
	} {
		kind.Policy = tt.policy
		a := steptest.NewAttempt(t, "%s", strings.ReplaceAll(tt.with, "DIR", dir))
		steptest.WantError(t, kind.Check(a.With), tt.want)
		steptest.WantError(t, a.Run(t.Context(), kind), tt.want)
	}
	steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
}

// TestConfigIsUndoneWithoutItsParameters: what the device filled in may be gone
// by then, or be what made the step fail.
func TestConfigIsUndoneWithoutItsParameters(t *testing.T) {
	dir, kind := newUCI(t)
	mark := filepath.Join(dir, "applied")
	a := steptest.NewAttempt(t, `{"files":[{"path":"%s/f","content":"x"}],"uci":{"wireless.radio0.channel":"36"},"apply":["touch",%q]}`, dir, mark)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	a.With = []byte(`{"uci":{"wireless.radio0.channel":{"secret":"gone"}}}`)
	if err := a.Undo(kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "wireless"), []byte(steptest.WirelessConfig))
	steptest.WantFile(t, mark, nil)
	if _, err := os.Stat(filepath.Join(dir, "f")); err == nil {
		t.Error("the new file is still there")
	}
}

// TestAConfigOfManyFilesCostsOneSave: each save is a commit to flash.
func TestAConfigOfManyFilesCostsOneSave(t *testing.T) {
	dir, kind := newUCI(t)
	const files = `"files":[{"path":"DIR/a/b/f","content":"x"},{"path":"DIR/a/g","content":"x"}],"uci":{"wireless.radio0.channel":"36"},"apply":["true"]`
	for more, want := range map[string]int{"": 1, `,"validate":["true"]`: 2} {
		a := steptest.NewAttempt(t, "%s", strings.ReplaceAll("{"+files+more+"}", "DIR", dir))
		if err := errors.Join(a.Run(t.Context(), kind), a.Run(t.Context(), kind)); err != nil || a.Saves != want {
			t.Errorf("got %d saves, %v, want %d", a.Saves, err, want)
		}
		if err := a.Undo(kind); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoNamesOfOneFileAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := steptest.Old("f")(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(dir, "g")); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"files":[{"path":"%[1]s/f","content":"1"},{"path":"%[1]s/g","content":"2"}]}`, dir)
	steptest.WantError(t, a.Run(t.Context(), config.Kind{}), "files[1]: ", "leads to the same file as another one")
	steptest.WantFile(t, filepath.Join(dir, "f"), []byte("old\n"))
}
