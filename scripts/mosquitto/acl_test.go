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

// retain publishes as user on every topic; the broker drops in silence what is not allowed.
func retain(t *testing.T, port, user string, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		out, err := exec.Command("mosquitto_pub", "-p", port, "-u", user, "-P", password, "-q", "1", "-r", "-t", topic, "-m", user).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// seen lists "topic=payload" of all that user gets when asking for everything.
func seen(port, user string) []string {
	// It ends with an error when the time is up, which is how it always ends.
	out, _ := exec.Command("mosquitto_sub", "-p", port, "-u", user, "-P", password, "-W", "1", "-t", "ratchet/v1/#", "-F", "%t=%p").Output()
	rows := strings.Fields(strings.ReplaceAll(string(out), "ratchet/v1/", ""))
	slices.Sort(rows)
	return rows
}

func TestE2EDevicesAreKeptApart(t *testing.T) {
	port := broker(t)
	topics := []string{
		"ratchet/v1/jobs/device/gw-1/j", "ratchet/v1/jobs/device/gw-2/j", "ratchet/v1/jobs/group/g/j", "ratchet/v1/jobs/all/j",
		"ratchet/v1/device/gw-1/state", "ratchet/v1/device/gw-2/jobs/j",
	}
	retain(t, port, "operator", topics[:4]...)
	retain(t, port, "gw-1", topics[4])
	retain(t, port, "gw-2", topics[5])
	for _, intruder := range []string{"operator", "gw-1", "gw-2"} { // each tries to overwrite what the owners wrote
		for _, topic := range topics {
			if !owns(intruder, topic) {
				retain(t, port, intruder, topic)
			}
		}
	}
	for user, want := range map[string][]string{
		"operator": {"device/gw-1/state=gw-1", "device/gw-2/jobs/j=gw-2", "jobs/all/j=operator", "jobs/device/gw-1/j=operator", "jobs/device/gw-2/j=operator", "jobs/group/g/j=operator"},
		"gw-1":     {"device/gw-1/state=gw-1", "jobs/all/j=operator", "jobs/device/gw-1/j=operator", "jobs/group/g/j=operator"},
	} {
		if got := seen(port, user); !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", user, got, want)
		}
	}
}

func owns(user, topic string) bool {
	if user == "operator" {
		return strings.HasPrefix(topic, "ratchet/v1/jobs/")
	}
	return strings.HasPrefix(topic, "ratchet/v1/device/"+user+"/")
}
