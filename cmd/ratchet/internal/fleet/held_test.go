package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// A broker may make up devices and offers without an end.
func TestWhatABrokerMakesUpIsBounded(t *testing.T) {
	const n, most = 2000, 1 << 20
	long := strings.Repeat(" ", 2000) + "{}"
	for name, topic := range map[string]func(id string) dialect.Topic{
		"offers":   func(id string) dialect.Topic { return dialect.Topic{To: "all", Name: id} },
		"states":   func(id string) dialect.Topic { return dialect.Topic{Device: id, Part: "state"} },
		"facts":    func(id string) dialect.Topic { return dialect.Topic{Device: id, Part: "facts"} },
		"statuses": func(id string) dialect.Topic { return dialect.Topic{Device: id, Part: "jobs", Name: "j"} },
	} {
		f := New()
		f.most = most
		tell := func(i int, payload string) {
			f.Apply(link.Message{Topic: topic(fmt.Sprint("x", i)), Payload: []byte(payload)})
		}
		for i := range n {
			tell(i, long)
		}
		if f.held > most+10_000 || len(f.LeftOut()) == 0 {
			t.Errorf("%s: %d bytes are held, and %q", name, f.held, f.LeftOut())
		}
		for i := range n {
			tell(i, "")
		}
		if left := f.held - deviceWeight*len(f.devices); left != 0 {
			t.Errorf("%s: %d bytes are held when all is gone", name, left)
		}
	}
}
