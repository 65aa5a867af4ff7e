package show

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
)

// At any width no line is longer than that, but for a name that is: those are
// never cut, nor broken.
func TestATableWrapsAndCutsNoName(t *testing.T) {
	const id = "gateway-berlin-ostkreuz-0000000000017"
	for _, width := range []string{"40", "60", "80", "120", ""} {
		t.Setenv("COLUMNS", width)
		var out bytes.Buffer
		table := NewTable(screen.On(&out), "DEVICE", "STATE", "SINCE", "TO", "TAGS")
		table.Row(id, "online", "2026-11-30 13:32:04", "device/gw-1, device/gw-2, group/routers-of-the-south", "site=berlin,floor=3,rack=17,owner=somebody")
		table.Row("a", "", "2026-11-30 13:32:04", "all", "site=berlin")
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimRight(out.String(), "\n"), "\n") {
			if most := map[string]int{"40": 40, "60": 60, "80": 80, "120": 120, "": 200}[width]; utf8.RuneCountInString(line) > most {
				t.Errorf("at %s columns: %d characters: %s", width, utf8.RuneCountInString(line), line)
			}
		}
		for _, name := range []string{id, "device/gw-1", "group/routers-of-the-south", "owner=somebody"} {
			if !strings.Contains(out.String(), name) {
				t.Errorf("at %q columns %s is not whole:\n%s", width, name, out.String())
			}
		}
	}
}
