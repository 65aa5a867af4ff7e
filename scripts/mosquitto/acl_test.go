// Package mosquitto holds the example of an access list for mosquitto, and
// proves that it keeps devices apart. There is no code in it.
package mosquitto

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const password = "only-for-this-test"

// broker starts a mosquitto with the access list and tells its port.
func broker(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"mosquitto", "mosquitto_passwd", "mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("mosquitto is not installed: make deps")
		}
	}
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	for i, user := range []string{"gw-1", "gw-2", "operator"} {
		args := []string{"-b", users, user, password}
		if i == 0 {
			args = slices.Insert(args, 0, "-c")
		}
		if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	rules, err := os.ReadFile("acl") // read here, so that a change of it undoes a cached result
	if err != nil {
		t.Fatal(err)
	}
	acl := filepath.Join(dir, "acl")
	if err := os.WriteFile(acl, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	conf := fmt.Sprintf("user root\nacl_file %s\npassword_file %s\nallow_anonymous false\nlistener %s 127.0.0.1\nuse_username_as_clientid true\n", acl, users, port)
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, file, port)
	return port
}

func start(t *testing.T, conf, port string) {
	t.Helper()
	cmd := exec.Command("mosquitto", "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 100 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("mosquitto does not listen after 5 seconds")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// retain publishes as user on a topic; the broker drops in silence what is not
// allowed.
func retain(t *testing.T, port, user, topic string, args ...string) {
	t.Helper()
	args = append([]string{"-p", port, "-u", user, "-P", password, "-q", "1", "-r", "-t", topic, "-m", user}, args...)
	if out, err := exec.Command("mosquitto_pub", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// seen lists "topic=payload" of all that user gets when asking for filter.
func seen(port, user, filter string, args ...string) []string {
	args = append([]string{"-p", port, "-u", user, "-P", password, "-W", "1", "-t", filter, "-F", "%t=%p"}, args...)
	// It ends with an error when the time is up, which is how it always ends.
	out, _ := exec.Command("mosquitto_sub", args...).Output()
	return strings.Fields(string(out))
}

// Every try is one of gw-1, which is in no group, at what is its own and not.
var tries = []struct{ verb, topic, what string }{
	{"write", "device/gw-1/state", "its own state"},
	{"write", "device/gw-1/jobs/j", "the status of its own job"},
	{"write", "device/gw-2/state", "another's state"},
	{"write", "device/gw-2/jobs/j", "the status of another's job"},
	{"write", "device/gw-2/alerts/hot", "another's alert"},
	{"write", "jobs/device/gw-1/j", "a job for itself"},
	{"write", "jobs/device/gw-2/j", "a job for another"},
	{"write", "jobs/group/g/j", "a job for a group"},
	{"write", "jobs/all/j", "a job for all"},
	{"read", "jobs/device/gw-1/k", "its own job"},
	{"read", "jobs/group/g/k", "a group's job"},
	{"read", "jobs/all/k", "the job of all"},
	{"read", "jobs/device/gw-2/k", "another's job"},
	{"read", "device/gw-1/jobs/k", "the status of its own job"},
	{"read", "device/gw-2/jobs/k", "the status of another's job"},
	{"read", "device/gw-2/health", "another's health"},
	{"read as client gw-2", "jobs/device/gw-2/k", "another's job"},
	{"write as client gw-2", "device/gw-2/state", "another's state"},
}

// TestE2EDevicesAreKeptApart writes down what a device may and may not do; with
// UPDATE set it is written anew.
func TestE2EDevicesAreKeptApart(t *testing.T) {
	port := broker(t)
	for _, topic := range []string{"jobs/device/gw-1/k", "jobs/device/gw-2/k", "jobs/group/g/k", "jobs/all/k"} {
		retain(t, port, "operator", "ratchet/v1/"+topic)
	}
	retain(t, port, "gw-1", "ratchet/v1/device/gw-1/jobs/k")
	retain(t, port, "gw-2", "ratchet/v1/device/gw-2/jobs/k")
	retain(t, port, "gw-2", "ratchet/v1/device/gw-2/health")
	var rows strings.Builder
	for _, try := range tries {
		topic, result := "ratchet/v1/"+try.topic, "denied"
		var as []string
		if strings.Contains(try.verb, "as client") {
			as = []string{"-i", "gw-2"}
		}
		got := func() []string { return seen(port, "gw-1", topic, as...) }
		if strings.HasPrefix(try.verb, "write") {
			retain(t, port, "gw-1", topic, as...)
			got = func() []string { return seen(port, "operator", topic) }
		}
		if slices.ContainsFunc(got(), func(row string) bool {
			return strings.HasPrefix(try.verb, "read") || strings.HasSuffix(row, "=gw-1")
		}) {
			result = "allowed"
		}
		fmt.Fprintf(&rows, "%-20s | %-22s | %-27s | %s\n", try.verb, try.topic, try.what, result)
	}
	t.Logf("\n%s", rows.String())
	const table = "testdata/rights.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(table, []byte(rows.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(table); err != nil || rows.String() != string(want) {
		t.Errorf("got\n%swant\n%s%v", rows.String(), want, err)
	}
}
