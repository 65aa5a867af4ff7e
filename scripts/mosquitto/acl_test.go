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

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/enroll"
)

const password = "only-for-this-test"

// broker starts a mosquitto with an access list and tells its port.
func broker(t *testing.T, rules string) string {
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
	acl := filepath.Join(dir, "acl")
	if err := os.WriteFile(acl, []byte(rules), 0o600); err != nil {
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

// rules are those of the example, with the groups of each device: gw-1 is in the
// group of-gw-1, and so on.
func rules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("acl") // read here, so that a change of it undoes a cached result
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + groups(t, "mosquitto", "gw-1 of-gw-1\ngw-2 of-gw-2\n")
}

// groups is what groups.sh prints for a list of devices and their groups.
func groups(t *testing.T, form, list string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "groups")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("../groups.sh", form, file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
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

// Every try is one of a device, ME, which is in the group of-ME, at what is its own
// and what is the other one's, YOU.
var tries = []struct{ verb, topic, what string }{
	{"write", "device/ME/state", "its own state"},
	{"write", "device/ME/jobs/j", "the status of its own job"},
	{"write", "device/YOU/state", "another's state"},
	{"write", "device/YOU/jobs/j", "the status of another's job"},
	{"write", "device/YOU/alerts/hot", "another's alert"},
	{"write", "jobs/device/ME/j", "a job for itself"},
	{"write", "jobs/device/YOU/j", "a job for another"},
	{"write", "jobs/group/of-ME/j", "a job for its group"},
	{"write", "jobs/all/j", "a job for all"},
	{"read", "jobs/device/ME/k", "its own job"},
	{"read", "jobs/group/of-ME/k", "the job of its group"},
	{"read", "jobs/group/of-YOU/k", "the job of another group"},
	{"read", "jobs/all/k", "the job of all"},
	{"read", "jobs/device/YOU/k", "another's job"},
	{"read", "device/ME/jobs/k", "the status of its own job"},
	{"read", "device/YOU/jobs/k", "the status of another's job"},
	{"read", "device/YOU/health", "another's health"},
	{"read as client YOU", "jobs/device/YOU/k", "another's job"},
	{"write as client YOU", "device/YOU/state", "another's state"},
}

// TestE2EDevicesAreKeptApart writes down what a device may and may not do; with
// UPDATE set it is written again.
func TestE2EDevicesAreKeptApart(t *testing.T) {
	port := broker(t, rules(t))
	for _, topic := range []string{"jobs/device/gw-1/k", "jobs/device/gw-2/k", "jobs/group/of-gw-1/k", "jobs/group/of-gw-2/k", "jobs/all/k"} {
		retain(t, port, "operator", "ratchet/v1/"+topic)
	}
	for _, device := range []string{"gw-1", "gw-2"} {
		retain(t, port, device, "ratchet/v1/device/"+device+"/jobs/k")
		retain(t, port, device, "ratchet/v1/device/"+device+"/health")
	}
	var rows strings.Builder
	for _, names := range [][2]string{{"gw-1", "gw-2"}, {"gw-2", "gw-1"}} {
		name := strings.NewReplacer("ME", names[0], "YOU", names[1]).Replace
		for _, try := range tries {
			result := "denied"
			if allowed(t, port, names[0], name(try.verb), "ratchet/v1/"+name(try.topic)) {
				result = "allowed"
			}
			fmt.Fprintf(&rows, "%s | %-20s | %-22s | %-27s | %s\n", names[0], name(try.verb), name(try.topic), try.what, result)
		}
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

// TestE2EAWildcardBringsADeviceNoMore: a broker grants it, and judges each message.
func TestE2EAWildcardBringsADeviceNoMore(t *testing.T) {
	port := broker(t, rules(t))
	for _, topic := range []string{"jobs/device/gw-1/k", "jobs/device/gw-2/k", "jobs/group/of-gw-1/k", "jobs/group/of-gw-2/k", "jobs/all/k"} {
		retain(t, port, "operator", "ratchet/v1/"+topic)
	}
	retain(t, port, "gw-2", "ratchet/v1/device/gw-2/state")
	want := []string{"ratchet/v1/jobs/all/k=operator", "ratchet/v1/jobs/device/gw-1/k=operator", "ratchet/v1/jobs/group/of-gw-1/k=operator"}
	got := seen(port, "gw-1", "#", "-C", "4", "-W", "10")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestGroupsOfADevice: a name that is a pattern, or ends its rule, would open more.
func TestGroupsOfADevice(t *testing.T) {
	const list = "# the fleet\ngw-1 routers berlin\n\ngw-2\n"
	for form, want := range map[string]string{
		"mosquitto": "\nuser gw-1\ntopic read ratchet/v1/jobs/group/routers/+\ntopic read ratchet/v1/jobs/group/berlin/+\n\nuser gw-2\n",
		"emqx":      "{allow, {username, \"gw-1\"}, subscribe, [\"ratchet/v1/jobs/group/routers/+\", \"ratchet/v1/jobs/group/berlin/+\"]}.\n",
	} {
		if got := groups(t, form, list); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", form, got, want)
		}
		for _, bad := range []string{"gw-1 +", "gw-1 #", "gw-1 a/b", "+ a", "gw-1 a\"]}.{allow,all}.", "gw-1 \u00e4", "operator a", "gw-1 a %u"} {
			file := filepath.Join(t.TempDir(), "groups")
			if err := os.WriteFile(file, []byte(list+bad+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("../groups.sh", form, file).CombinedOutput()
			if err == nil || !strings.Contains(string(out), ":5: ") || strings.Contains(string(out), "gw-2") {
				t.Errorf("%s: %s: got %s, %v", form, bad, out, err)
			}
		}
	}
}

// allowed tries it as a device, perhaps under a foreign client id.
func allowed(t *testing.T, port, device, verb, topic string) bool {
	t.Helper()
	var as []string
	if _, client, ok := strings.Cut(verb, " as client "); ok {
		as = []string{"-i", client}
	}
	if strings.HasPrefix(verb, "read") {
		return len(seen(port, device, topic, as...)) > 0
	}
	retain(t, port, device, topic, as...)
	return slices.Contains(seen(port, "operator", topic), topic+"="+device)
}

// A broker that grants a subscription and drops what it would bring, or what a
// device says, is found out by check --connect.
func TestE2ECheckFindsWhatMosquittoDropsInSilence(t *testing.T) {
	for name, c := range map[string]struct{ rules, want string }{
		"all its rights": {rules(t), ""},
		"may not write":  {strings.ReplaceAll(rules(t), "pattern write", "# "), "the right to write and to read"},
		"may not read":   {strings.ReplaceAll(rules(t), "pattern read ratchet/v1/device", "# "), "the right to write and to read"},
	} {
		port, dir := broker(t, c.rules), t.TempDir()
		file := filepath.Join(dir, "ratchet.toml")
		settings := fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\nbroker = \"tcp://127.0.0.1:%s\"\nusername = \"gw-1\"\npasswordFile = \"password\"\n",
			filepath.Join(dir, "state"), port)
		for path, text := range map[string]string{file: settings, filepath.Join(dir, "password"): password} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		loaded, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := enroll.Try(t.Context(), loaded)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q and %v, want %q", name, lines, err, c.want)
		}
	}
}
