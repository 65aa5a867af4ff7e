package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A part that a device can do without is left out and named; without what makes it
// this device it does not start.
func TestOnlyWhatTheDeviceNeedsIsFatal(t *testing.T) {
	const schedule = "[[schedule]]\nname = \"a\"\ncron = \"0 3 * * *\"\njob = \"/a.json\"\n"
	for name, tt := range map[string]struct {
		main, part string
		left       string // "": nothing; else what is said to be left out
		fatal      string
	}{
		"all is well":                   {least, schedule, "", ""},
		"a file of zeros":               {least, strings.Repeat("\x00", 64), "part.toml:1: ", ""},
		"an unknown key":                {least, "[vars]\na = 1\n[tellemetry]\nevery = \"1s\"\n", "part.toml:3: tellemetry: unknown key", ""},
		"a value of another type":       {least, "groups = \"routers\"\n", "part.toml:1: groups: want list", ""},
		"a figure that cannot be":       {least, "[telemetry]\nevery = \"1ms\"\n", "telemetry.every: want 1s or more", ""},
		"a zone that is gone":           {least, schedule + "tz = \"Europe/Nowhere\"\n", "part.toml:3: schedule.cron: tz: \"Europe/Nowhere\": this device knows no such time zone", ""},
		"a zone in ratchet.toml":        {least + schedule + "tz = \"Europe/Nowhere\"\n", "[vars]\na = 1\n", "ratchet.toml:6: schedule.cron: tz", ""},
		"an alert that is no jq":        {least, "[[alert]]\nname = \"hot\"\nwhen = \".x >\"\n", "part.toml:3: alert.when: not jq", ""},
		"a key of a schedule":           {least, schedule + "wenn = 1\n", "part.toml:5: schedule.wenn: unknown key", ""},
		"another one beside it":         {least + schedule, strings.ReplaceAll(schedule, "\"a\"", "\"b\"") + "wenn = 1\n", "part.toml:5: schedule.wenn: unknown key", ""},
		"a policy":                      {least, "[policy]\nallow = [\"*\"]\n", "", "part.toml:1: policy: it may stand in ratchet.toml only"},
		"a wrong key of the link":       {least, "[link]\nbrokr = \"tcp://b:1\"\n", "", "part.toml:2: link.brokr: unknown key"},
		"the device beside nonsense":    {least, "device = \"gw-2\"\nnonsense = 1\n", "", "part.toml:2: nonsense: unknown key"},
		"zeros that were the link":      {"device = \"gw-1\"\n", "\x00", "", "part.toml:1: "},
		"zeros that were the device":    {"[link]\nbroker = \"tcp://b:1\"\n", "\x00", "", "part.toml:1: "},
		"a wrong key in ratchet.toml":   {least + "[telemetry]\nevry = \"1s\"\n", "", "", "ratchet.toml:5: telemetry.evry: unknown key"},
		"no TOML as ratchet.toml":       {"\x00", "", "", "ratchet.toml:1: "},
		"a link that cannot be reached": {"device = \"gw-1\"\n[link]\nbroker = \"ftp://x\"\n", "", "", "link.broker: \"ftp://x\": want"},
	} {
		dir := etc(t, map[string]string{"ratchet.toml": tt.main, "conf.d/part.toml": tt.part, "conf.d/zz.toml": "[tags]\nsite = \"berlin\"\n"})
		c, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
		if tt.fatal != "" {
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.fatal) {
				t.Errorf("%s: got %v, want %s", name, err, tt.fatal)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: it does not start: %v", name, err)
			continue
		}
		if left := c.LeftOut(); tt.left == "" && left != nil || tt.left != "" && (left == nil || !strings.Contains(left.Error(), tt.left)) {
			t.Errorf("%s: got %v, want %s", name, left, tt.left)
		}
		if c.Tags["site"] != "berlin" || len(c.Vars) > 0 && tt.left != "" && !strings.Contains(tt.left, "ratchet.toml") {
			t.Errorf("%s: got tags %v and vars %v", name, c.Tags, c.Vars)
		}
	}
}

// Settings are not left out: a job that brings such has failed.
func TestADraftIsNeverLeftOut(t *testing.T) {
	const schedule = "[[schedule]]\nname = \"a\"\ncron = \"0 3 * * *\"\njob = \"/a.json\"\n"
	dir := etc(t, map[string]string{"ratchet.toml": least, "conf.d/bad.toml": "nonsense = 1\n", "conf.d/z.toml": schedule})
	before, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		draft Draft
		want  string
	}{
		{Draft{"site", "[tags]\na = 1\n"}, ""},
		{Draft{"bad", "[tags]\na = 1\n"}, ""}, // it mends the one that is left out
		{Draft{"bad", "nonsense = 1\n"}, "bad.toml:1: nonsense: unknown key"},
		{Draft{"site", "nonsense = 1\n"}, "site.toml:1: nonsense: unknown key"},
		{Draft{"site", schedule}, "z.toml:2: schedule.name: \"a\" stands there twice"},
		{Draft{"z2", schedule}, "z2.toml:2: schedule.name: \"a\" stands there twice"},
	} {
		if _, err := before.Again(c.draft); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.draft, err, c.want)
		}
	}
}

// What a schedule names that is left out would be trusted again once it is mended.
func TestTheJobOfAScheduleThatIsLeftOutStaysProtected(t *testing.T) {
	c, err := loadFrom(t, map[string]string{"ratchet.toml": least + "[[schedule]]\nname = \"a\"\ncron = \"often\"\njob = \"/opt/a.json\"\n"})
	if c == nil || err == nil {
		t.Fatalf("got %v, %v", c, err)
	}
	if err := c.StepPolicy().Writable("/opt/a.json"); err == nil {
		t.Error("a job may write it")
	}
}

// A link of conf.d may lead to what is gone, such as a stick: that keeps no device from
// its broker.
func TestALinkThatLeadsNowhereIsLeftOut(t *testing.T) {
	for to, want := range map[string]string{"/nowhere/part.toml": "no such file", "part.toml": "too many levels"} {
		dir := etc(t, map[string]string{"ratchet.toml": least, "conf.d/zz.toml": "[tags]\nsite = \"berlin\"\n"})
		if err := os.Symlink(to, filepath.Join(dir, "conf.d/part.toml")); err != nil {
			t.Fatal(err)
		}
		c, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
		if err != nil {
			t.Errorf("%s: it does not start: %v", to, err)
			continue
		}
		if left := c.LeftOut(); left == nil || !strings.Contains(left.Error(), "conf.d/part.toml: "+want) || c.Tags["site"] != "berlin" {
			t.Errorf("%s: got %v and tags %v", to, left, c.Tags)
		}
	}
}
