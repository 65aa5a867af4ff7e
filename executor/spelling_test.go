package executor

import "testing"

func TestTheNearestNameIsSuggestedAndNoOther(t *testing.T) {
	kinds := []string{"command", "config", "file", "firmware", "settings", "reboot"}
	for name, want := range map[string]string{"comand": "command", "commmand": "command", "Command": "command", "cnofig": "config",
		"setting": "settings", "files": "file", "shell": "", "x": "", "": ""} {
		if got := nearest(name, kinds); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
