package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A remote is a device with a network of its own: a namespace whose one cable,
// eth0, leads to the broker.
type remote struct {
	*site
	t         *testing.T
	namespace string
	subnet    string // of the cable, its last number left out
	began     time.Time
	daemon    *daemon
}

var remotes atomic.Int32

// newRemote runs the real program in a new namespace.
func newRemote(t *testing.T) *remote {
	n := os.Getpid()*4 + int(remotes.Add(1))
	r := &remote{t: t, namespace: fmt.Sprintf("ratchet-%d", n), subnet: fmt.Sprintf("198.%d.%d.", 18+n/256%2, n%256)} // a range for tests
	cable := fmt.Sprintf("rt%d", n)
	r.ip("netns", "add", r.namespace)
	t.Cleanup(func() { r.ip("netns", "del", r.namespace) })
	r.ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", r.namespace)
	t.Cleanup(func() { r.ip("link", "del", cable) }) // a connection that was cut holds its namespace for minutes
	r.ip("address", "add", r.subnet+"1/24", "dev", cable)
	r.ip("link", "set", cable, "up")
	r.ip("-n", r.namespace, "address", "add", r.subnet+"2/24", "dev", "eth0")
	r.ip("-n", r.namespace, "link", "set", "eth0", "up")
	r.ip("-n", r.namespace, "link", "set", "lo", "up")

	dir := t.TempDir()
	program := filepath.Join(dir, "ratchetd")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building ratchetd: %v: %s", err, out)
	}
	s, err := newSite(dir, embedded, "ip netns exec "+r.namespace+" "+program)
	if err != nil {
		t.Fatal(err)
	}
	r.site = s
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	s.broker.device = r.free(r.subnet + "1")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	r.write("address", r.subnet+"2/24\n")
	r.write("network-restart", "ip address flush dev eth0\nip address add \"$(cat "+filepath.Join(dir, "address")+")\" dev eth0\n")
	return r
}

func (r *remote) ip(args ...string) string {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (r *remote) free(host string) string {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *remote) write(name, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// boot starts the daemon.
func (r *remote) boot() {
	d, err := r.launch("gw-1")
	if err != nil {
		r.t.Fatal(err)
	}
	r.daemon = d
}

// online starts the daemon and the clock of the story.
func (r *remote) online() {
	r.boot()
	if err := r.watcher.sees("device/gw-1/state", ".online"); err != nil {
		r.t.Fatal(err)
	}
	r.began = time.Now()
	r.say("the device is online at %s", r.address())
}

func (r *remote) say(format string, args ...any) {
	r.t.Helper()
	r.t.Logf("%5.1f s  "+format, append([]any{time.Since(r.began).Seconds()}, args...)...)
}

// address is that of the device's end of the cable.
func (r *remote) address() string {
	for _, word := range strings.Fields(r.ip("-n", r.namespace, "-4", "-brief", "address", "show", "dev", "eth0")) {
		if strings.Contains(word, "/") {
			return word
		}
	}
	return "no address"
}

// readdress sends a job that gives the device another address, on trial.
func (r *remote) readdress(address string, within time.Duration) {
	doc, err := json.Marshal(map[string]any{"id": "readdress", "steps": []any{map[string]any{
		"name": "address", "retry": map[string]any{"attempts": 3},
		"config": map[string]any{
			"files": []any{map[string]any{"path": filepath.Join(r.dir, "address"), "content": address + "\n"}},
			"apply": []string{"/bin/sh", filepath.Join(r.dir, "network-restart")}},
		"confirm": map[string]any{"within": within.String()}}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.say("the operator sends a job: config {address: %s, apply: network-restart}, confirm {within: %s}", address, within)
	if err := r.watcher.send("jobs/device/gw-1/readdress", doc); err != nil {
		r.t.Fatal(err)
	}
}

// has waits until the device has the address.
func (r *remote) has(address string) {
	r.t.Helper()
	err := patiently(func() error {
		if got := r.address(); got != address {
			return fmt.Errorf("the device has %s, not %s", got, address)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.say("the device has %s", address)
}

// reachable reports whether a packet goes to the address and back.
func (r *remote) reachable(address string) bool {
	host, _, _ := strings.Cut(address, "/")
	c, err := net.DialTimeout("tcp", host+":9", time.Second) // nobody listens: a refusal is an answer
	if err == nil {
		c.Close()
	}
	return err == nil || strings.Contains(err.Error(), "refused")
}

// ended waits for the job's end as the operator sees it.
func (r *remote) ended() (s dialect.JobStatus) {
	r.t.Helper()
	const topic = "device/gw-1/jobs/readdress"
	if err := r.watcher.sees(topic, `.state | IN("succeeded", "failed", "cancelled", "rejected")`); err != nil {
		r.t.Fatal(err)
	}
	r.watcher.mu.Lock()
	text := r.watcher.last[topic]
	r.watcher.mu.Unlock()
	s, err := dialect.ParseStatus(text)
	if err != nil {
		r.t.Fatal(err)
	}
	r.say("the device says: %s %s", s.State, s.Reason)
	r.say("its step: %d attempts, %d interruptions; its address: %s", s.Steps[0].Attempts, s.Steps[0].Interrupted, r.address())
	return s
}

// undone checks the end against what a bad address must come to.
func (r *remote) undone(s dialect.JobStatus) {
	r.t.Helper()
	why := "step address: not confirmed within 12s: no connection to the broker: "
	if s.State != executor.Failed || !strings.HasPrefix(s.Reason, why) || !strings.HasSuffix(s.Reason, "; undone") {
		r.t.Errorf("the job ended %s: %s", s.State, s.Reason)
	}
	if got := r.address(); got != r.subnet+"2/24" || !r.reachable(got) {
		r.t.Errorf("the device has %s, reachable: %v", got, r.reachable(got))
	}
	if text, err := os.ReadFile(filepath.Join(r.dir, "address")); err != nil || string(text) != r.subnet+"2/24\n" {
		r.t.Errorf("the file holds %q, %v", text, err)
	}
}

func inNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	if out, err := exec.Command("unshare", "--net", "ip", "link", "add", "rt0", "type", "veth").CombinedOutput(); err != nil {
		t.Skipf("no network namespace with a cable can be made here: %v: %s", err, out)
	}
	t.Parallel()
}

// A wrong address in a real network: the device disappears, and comes back by
// itself.
func TestNamespaceAWrongAddressIsUndone(t *testing.T) {
	inNamespaces(t)
	r := newRemote(t)
	r.online()
	r.readdress("203.0.113.2/24", 12*time.Second)
	r.has("203.0.113.2/24")
	if r.reachable(r.subnet + "2") {
		t.Error("the device is still there")
	}
	r.say("nothing answers at %s2 any more; the broker is out of its reach", r.subnet)
	r.undone(r.ended())
}

func TestNamespaceAWrongAddressIsUndoneAfterAPowerCut(t *testing.T) {
	inNamespaces(t)
	r := newRemote(t)
	r.online()
	r.readdress("203.0.113.2/24", 12*time.Second)
	r.has("203.0.113.2/24")
	time.Sleep(3 * time.Second)
	r.daemon.kill()
	r.say("kill -9, in the middle of the trial; the device has %s", r.address())
	time.Sleep(time.Second)
	r.boot()
	r.say("ratchetd is started again: the trial begins again, the change is not made again")
	s := r.ended()
	r.undone(s)
	if s.Steps[0].Attempts != 2 {
		t.Errorf("%d attempts, want the first and the one after the cut", s.Steps[0].Attempts)
	}
}

func TestNamespaceARightAddressStays(t *testing.T) {
	inNamespaces(t)
	r := newRemote(t)
	r.online()
	r.readdress(r.subnet+"77/24", 30*time.Second)
	s := r.ended()
	if s.State != executor.Succeeded || r.address() != r.subnet+"77/24" || !r.reachable(r.subnet+"77") {
		t.Errorf("the job ended %s, %s; the device has %s", s.State, s.Reason, r.address())
	}
}
