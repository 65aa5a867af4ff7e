package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
)

// reported is a job that devices report with these statuses, one device each.
func reported(t *testing.T, statuses ...string) *fleet.Job {
	t.Helper()
	messages := []string{"jobs/all/j", `{"id":"j",` + twoSteps + `}`}
	for i, s := range statuses {
		messages = append(messages, fmt.Sprintf("device/gw-%d/jobs/j", i+1), s)
	}
	return heard(t, messages...)
}

func failed(step, reason string) string {
	return fmt.Sprintf(`{"state":"failed","rev":5,"reason":"step %[1]s: %[2]s","steps":[{"name":%[1]q,"state":"failed","attempts":1,"output":"last words"}]}`, step, reason)
}

func TestFailuresThatDifferInNumbersAndAddressesAreOne(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b string
		one  bool
	}{
		{"numbers", "12 bytes are free, 4096 are needed", "900 bytes are free, 4096 are needed", true},
		{"addresses", "dial tcp 10.0.0.7:443: refused", "dial tcp 192.168.1.1:8443: refused", true},
		{"IPv6", "dial tcp [fe80::1]:443: refused", "dial tcp [2001:db8::7:1]:443: refused", true},
		{"times", "not before 2026-11-24T03:00:00Z", "not before 2027-01-02T04:05:06Z", true},
		{"durations", "timed out after 1m30s", "timed out after 250ms", true},
		{"digests", "got 0123456789abcdef0123456789abcdef", "got ffffffffffffffffffffffffffffff00", true},
		{"hardware addresses", "no carrier on 00:11:22:33:44:55", "no carrier on 00:11:22:33:44:66", true},
		{"the device's own id", "no entry for gw-1 there", "no entry for gw-2 there", true},
		{"exit codes", "exit code 1", "exit code 127", false},
		{"answers of a server", "HTTP 404", "HTTP 503", false},
		{"words", "no space left", "no route to host", false},
	} {
		j := reported(t, failed("one", c.a), failed("one", c.b))
		got := j.Failures(j.Rows(time.Now()))
		if (len(got) == 1) != c.one {
			t.Errorf("%s: got %d failures: %+v", c.name, len(got), got)
		}
	}
}

func TestTheFailureOfMostDevicesComesFirst(t *testing.T) {
	j := reported(t, failed("one", "exit code 1"), failed("two", "no space left"), failed("two", "no space left"),
		`{"state":"succeeded","rev":5}`, `{"state":"rejected","rev":0,"reason":"policy.allow does not allow this kind"}`)
	got := j.Failures(j.Rows(time.Now()))
	if len(got) != 3 {
		t.Fatalf("got %+v, want three failures", got)
	}
	f := got[0]
	if f.Handle != "F1" || f.Step != "two" || f.Kind != "command" || f.Text != "no space left" || strings.Join(f.Devices, " ") != "gw-2 gw-3" ||
		f.Output != "last words" || f.Hopeless != "" || f.Effects[fleet.Changed] != 2 {
		t.Errorf("got %+v", f)
	}
	for _, f := range got[1:] {
		if (f.Hopeless != "") != (f.State == "rejected") {
			t.Errorf("%s: hopeless %q", f.State, f.Hopeless)
		}
	}
}

func TestWhatBecameOfADeviceIsToldByItsSteps(t *testing.T) {
	for steps, want := range map[string]fleet.Effect{
		`{"name":"one","state":"pending","attempts":0}`: fleet.Untouched,
		`{"name":"one","state":"undone","attempts":1},{"name":"two","state":"failed","attempts":1,"reason":"exit code 1; undone"}`: fleet.Restored,
		`{"name":"one","state":"undone","attempts":1},{"name":"two","state":"failed","attempts":1,"reason":"exit code 1"}`:         fleet.Changed,
		`{"name":"one","state":"succeeded","attempts":1,"reason":"it has no undo"},{"name":"two","state":"pending","attempts":0}`:  fleet.Changed,
		`{"name":"one","state":"undone","attempts":1},{"name":"mail","phase":"onFailure","state":"succeeded","attempts":1}`:        fleet.Changed,
	} {
		j := reported(t, `{"state":"failed","rev":5,"reason":"x","steps":[`+steps+`]}`)
		if got := j.Effect(j.Rows(time.Now())[0]); got != want {
			t.Errorf("%s: got %s, want %s", steps, got, want)
		}
	}
}

// A device that knows another document under the id refuses this one, and says so
// by an alert alone: its old word is no answer, and there is nothing to wait for.
func TestTheStatusOfAnotherDocumentIsNoAnswer(t *testing.T) {
	j := reported(t, `{"state":"succeeded","rev":5,"digest":"00"}`)
	rows := j.Rows(time.Now())
	if len(rows) != 1 || rows[0].Answered || !rows[0].Other || !rows[0].Bad() || j.Waits(rows) {
		t.Errorf("got %+v", rows)
	}
	if got := fleet.Count(rows).String(); got != "" {
		t.Errorf("counts %q", got)
	}
}
