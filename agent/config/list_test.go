package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func loadText(t *testing.T, text string, parts ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"ratchet.toml": "device = \"gw-1\"\nstate = \"state\"\n[link]\nbroker = \"tcp://b:1\"\n" + text}
	for _, p := range parts {
		files["conf.d/more.toml"] = p
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(filepath.Join(dir, "ratchet.toml"))
}

func TestSchedulesOfAllFilesAddUp(t *testing.T) {
	c, err := loadText(t, "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"a.json\"\n\n[[schedule]]\nname = \"b\"\ncron = \"0 3 * * *\"\njob = \"/b.json\"\njitter = \"15m\"\noverlap = \"queue\"\n",
		"[[schedule]]\nname = \"c\"\ncron = \"@reboot\"\njob = \"c.json\"\ncatchUp = true\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range c.Schedules {
		names = append(names, s.Name)
	}
	if got, want := strings.Join(names, " "), "a b c"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got, want := c.Schedules[0].Job, filepath.Join(c.dir, "a.json"); got != want {
		t.Errorf("a path beside the configuration: got %s, want %s", got, want)
	}
	if got := c.Schedules[1]; time.Duration(got.Jitter) != 15*time.Minute || got.Overlap != "queue" || got.Job != "/b.json" {
		t.Errorf("got %+v", got)
	}
	effective := c.Effective()
	again, err := loadText(t, effective[strings.Index(effective, "[[schedule]]"):])
	if err != nil || len(again.Schedules) != 3 {
		t.Errorf("the effective configuration, read again: got %v, %v", again, err)
	}
}

// What is wrong with one of several is told with its own line.
func TestWhatIsWrongInAListNamesItsLine(t *testing.T) {
	const good = "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"a.json\"\n" // lines 5 to 8
	for _, c := range []struct{ text, want string }{
		{good + "[[schedule]]\nname = \"b\"\ncron = \"61 * * * *\"\njob = \"b\"\n", "ratchet.toml:11: schedule.cron: \"61 * * * *\""},
		{good + "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"b\"\n", "ratchet.toml:10: schedule.name: \"a\" stands there twice"},
		{good + "[[schedule]] # the other\nname = \"b\"\ncron = \"@daily\"\njob = \"b\"\nwhen = 1\n", "ratchet.toml:13: schedule.when: unknown key"},
		{good + "[[schedule]]\nname = \"b\"\ncron = 5\njob = \"b\"\n", "ratchet.toml:11: schedule.cron: want string, got integer"},
		{good + "[[schedule]]\nname = \"b\"\ncron = \"@daily\"\njitter = \"soon\"\njob = \"b\"\n", "ratchet.toml:12: schedule.jitter: soon is no duration"},
		{good + "[[schedule]]\nname = \"b\"\ncron = \"@daily\"\n", "ratchet.toml:9: schedule.job: want the file"},
		{good + "[[schedule]]\nname = \"b@c\"\ncron = \"@daily\"\njob = \"b\"\noverlap = \"twice\"\n", "ratchet.toml:10: schedule.name: \"b@c\": want 1 to 47"},
		{good + "[[schedule]]\nname = \"b\"\ncron = \"@daily\"\njob = \"b\"\noverlap = \"twice\"\n", "ratchet.toml:13: schedule.overlap: \"twice\": want skip or queue"},
		{good + "[[alert]]\nname = \"a\"\nwhen = \".x\"\n", "ratchet.toml:10: alert.name: \"a\" stands there twice"},
		{good + "[[alert]]\nname = \"b\"\n\nwhen = \".x >\"\n", "ratchet.toml:12: alert.when: not jq"},
		{"[[alert]]\nname = \"b\"\nwhen = \"avg(.x; \\\"5 minutes\\\") > 1\"\n", "ratchet.toml:7: alert.when: avg: \"5 minutes\": want a time"},
		{"[[alert]]\nname = \"b\"\nwhen = \"avg(.x; .y) > 1\"\n", "ratchet.toml:7: alert.when: avg: .y: want a text"},
		{"[[alert]]\nname = \"b\"\nwhen = \"max(avg(.x; \\\"5m\\\"); \\\"5m\\\") > 1\"\n", "alert.when: max: avg/2 is not allowed here"},
		{"[[alert]]\nname = \"b\"\nwhen = \".x\"\nseverity = \"bad\"\n", "ratchet.toml:8: alert.severity: \"bad\": want info, warning or critical"},
		{"[[alert]]\nname = \"no-room\"\nwhen = \".x\"\n", "ratchet.toml:6: alert.name: \"no-room\" is built in"},
		{"[telemetry]\nbuiltin = [\"*\", \"-dish\"]\n", "telemetry.builtin: \"dish\": want *, or of disk memory"},
		{"[schedule]\nname = \"a\"\n", "ratchet.toml:5: schedule: want"},
	} {
		if _, err := loadText(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant it to say %s", err, c.want)
		}
	}
}

func TestAByteOrderMarkMovesNoLine(t *testing.T) {
	at := placesOf([]byte("\uFEFF[[schedule]]\nname = \"a\"\ncron = \"x\"\n"), "schedule").of(0)
	if at.line("") != 1 || at.line("cron") != 3 {
		t.Errorf("got lines %v, want 1 and 3", at)
	}
}
