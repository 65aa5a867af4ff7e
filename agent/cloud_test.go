package agent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// A cloud is a fake hub with gw-1 in it.
type cloud struct {
	*hub.Hub
	t *testing.T
}

// newCloud starts a hub, which knows gw-1 by the key "key".
func newCloud(t *testing.T, h *hub.Hub) *cloud {
	t.Helper()
	t.Parallel()
	h.Host = "fake.azure-devices.net"
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.AddDevice("gw-1", []byte("key"))
	return &cloud{h, t}
}

// device makes gw-1 with a key; it does not run yet. link is added to [link].
func (c *cloud) device(extra, link string) *device {
	c.t.Helper()
	d := &device{t: c.t, dir: c.t.TempDir()}
	d.write("sas.key", base64.StdEncoding.EncodeToString([]byte("key")))
	d.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n%s\n[link]\ndialect = \"azure\"\nbroker = \"tcp://%s\"\nhub = \"fake.azure-devices.net\"\nsasKeyFile = \"sas.key\"\nspread = \"0s\"\n%s\n",
		filepath.Join(d.dir, "state"), extra, c.Address(), link))
	return d
}

// desire puts a job into the twin.
func (c *cloud) desire(id string, job any) {
	c.t.Helper()
	patch, err := json.Marshal(map[string]any{"jobs": map[string]any{id: job}})
	if err == nil {
		err = c.Desire("gw-1", patch)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// desireDoc puts the text of a document into the twin.
func (c *cloud) desireDoc(id string, document any) {
	c.t.Helper()
	c.desire(id, map[string]any{"t": azure.Pieces(string(text(c.t, document)))})
}

// text is v as JSON.
func text(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// told is the job in the reported properties; nil if it is not there.
func (c *cloud) told(id string) map[string]any {
	jobs, _ := c.Twin("gw-1").Reported["jobs"].(map[string]any)
	job, _ := jobs[id].(map[string]any)
	return job
}

// await waits until the job's reported state is this.
func (c *cloud) await(id string, want executor.State) map[string]any {
	c.t.Helper()
	c.until("job "+id+" to be "+string(want), func() bool { return c.told(id)["state"] == string(want) })
	return c.told(id)
}

// until is await, and tells what the hub knows where it did not come.
func (c *cloud) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("waited for %s; told is %v, dropped for %q", what, c.Twin("gw-1").Reported["jobs"], c.Drops())
		}
	}
}

// call calls a method once the device can be reached.
func (c *cloud) call(method string, payload any) (int, outcome) {
	c.t.Helper()
	raw := text(c.t, payload)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status, body, err := c.Invoke("gw-1", method, raw, patience)
		if err == nil && status != http.StatusServiceUnavailable {
			var o outcome
			_ = json.Unmarshal(body, &o) // a status is no outcome
			return status, o
		}
		if time.Now().After(end) {
			c.t.Fatalf("calling %s: %v", method, err)
		}
	}
}

// count is how many devices the hub counts by a query for that state of a job.
func (c *cloud) count(state executor.State, id string) int {
	c.t.Helper()
	n, err := c.Count(fmt.Sprintf("SELECT COUNT() AS n FROM devices WHERE properties.reported.jobs.%s.state = '%s'", id, state))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}
