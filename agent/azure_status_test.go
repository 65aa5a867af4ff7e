package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

func TestTheStatusOfABusyDeviceFitsAnAnswer(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	c.device("", "").start()
	var steps []any
	for i := range 40 {
		steps = append(steps, map[string]any{"name": fmt.Sprint(strings.Repeat("n", 50), i), "command": map[string]any{"argv": []string{"true"}}})
	}
	for i := range 36 {
		job := map[string]any{"id": fmt.Sprint("later", i), "notBefore": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "steps": steps}
		if got, o := c.call("job", job); got != 202 {
			t.Fatalf("got %d %+v, want it taken", got, o)
		}
	}
	if got, o := c.call("status", nil); got != 200 {
		t.Errorf("got %d %+v, want the status", got, o)
	}
}
