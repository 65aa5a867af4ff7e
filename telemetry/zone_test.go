package telemetry

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestARouterKnowsItsTimeZone(t *testing.T) {
	_, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no zone files here")
	}
	for _, c := range []struct{ name, system, tz, want string }{
		{"by name", "config system\n\toption zonename 'Europe/Berlin'\n\toption timezone 'UTC0'\n", "", "CEST"},
		{"by its rules", "config system 'main'\n\toption timezone 'CET-1CEST,M3.5.0,M10.5.0/3'\n", "", "CEST"},
		{"a name without a file", "config system\n\toption zonename 'No/Where'\n\toption timezone 'CET-1CEST,M3.5.0,M10.5.0/3'\n", "", "CEST"},
		{"a name with spaces", "config system\n\toption zonename 'America/New York'\n", "", "EDT"},
		{"by /etc/TZ", "", "JST-9\n", "JST"},
		{"the first section counts", "config system\n\toption timezone 'JST-9'\nconfig timeserver 'ntp'\n\toption timezone 'CET-1'\n", "", "JST"},
		{"set to nothing that is known", "config system\n\toption timezone 'garbage'\n", "", "UTC"},
		{"not set", "", "", "UTC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			etc := t.TempDir()
			for name, text := range map[string]string{"config/system": c.system, "TZ": c.tz} {
				if text == "" {
					continue
				}
				path := filepath.Join(etc, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			summer := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
			if got, _ := summer.In(routerZone(tree{etc: etc})).Zone(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestTheBoardsZoneIsReadWhenItChanges: Go reads it once, and whoever sets it, be it a
// job, need not start the agent again.
func TestTheBoardsZoneIsReadWhenItChanges(t *testing.T) {
	t.Setenv("TZ", "") // it comes back after the test
	if err := os.Unsetenv("TZ"); err != nil {
		t.Fatal(err)
	}
	here := tree{etc: t.TempDir()}
	link := filepath.Join(here.etc, "localtime")
	for _, name := range []string{"Europe/Berlin", "Asia/Tokyo", "No/Where"} {
		file := filepath.Join("/usr/share/zoneinfo", name)
		if _, err := os.Stat(file); err != nil && name != "No/Where" {
			t.Skip("no zone files here")
		}
		_ = os.Remove(link)
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"Europe/Berlin": "CEST", "Asia/Tokyo": "JST"}[name]
		summer := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		if want == "" { // as Go has it
			want, _ = summer.Local().Zone()
		}
		if got, _ := summer.In(localZone(here)).Zone(); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// Rules give what the zone's own file gives, for years to come.
func TestRulesAreAsGoodAsAZoneFile(t *testing.T) {
	for name, rules := range map[string]string{
		"Europe/Berlin":       "CET-1CEST,M3.5.0,M10.5.0/3",
		"America/New_York":    "EST5EDT,M3.2.0,M11.1.0",
		"Australia/Sydney":    "AEST-10AEDT,M10.1.0,M4.1.0/3",
		"Australia/Lord_Howe": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
		"Europe/Dublin":       "IST-1GMT0,M10.5.0,M3.5.0/1",
		"Asia/Tokyo":          "JST-9",
		"Asia/Tehran":         "<+0330>-3:30",
	} {
		file, err := time.LoadLocation(name)
		if err != nil {
			t.Skip("no zone files here")
		}
		z, err := Zone(rules)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2036; at = at.Add(30 * time.Minute) {
			got, want := at.In(z).Format(time.RFC822Z), at.In(file).Format(time.RFC822Z)
			if got != want {
				t.Fatalf("%s: got %s, want %s", name, got, want)
			}
		}
	}
}

func TestWhatIsNoTimeZone(t *testing.T) {
	for _, name := range []string{"Europe/Nowhere", "CET-1CEST", "CET-1CEST,garbage", "../etc/passwd", "CET", "-1"} {
		if z, err := Zone(name); err == nil && name != "CET" { // which is a zone file, and no rule
			t.Errorf("%s: got %s, want an error", name, z)
		}
	}
}
