package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names answers every question for a name's address with its own, at the other
// end of the cable.
func (r *remote) names() {
	conn, err := net.ListenPacket("udp", r.subnet+"1:53")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	own := net.ParseIP(r.subnet + "1").To4()
	go func() {
		for query := make([]byte, 512); ; {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(query[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Body: &dnsmessage.AResource{A: [4]byte(own)},
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}}}
			}
			if reply, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
}

// resolver makes the device's resolv.conf name a server: a namespace has one of
// its own.
func (r *remote) resolver(server string) {
	dir := filepath.Join("/etc/netns", r.namespace)
	r.t.Cleanup(func() { os.RemoveAll(dir) })
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+server+"\n"), 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// diagnose sends the checks as a job and returns how it ended and its table.
func (r *remote) diagnose(id, checks string) (state, table string) {
	r.t.Helper()
	r.say("the operator sends the job %s", id)
	doc := `{"id":"` + id + `","steps":[{"name":"look","diagnostic":{"checks":` + checks + `}}]}`
	topic := "device/gw-1/jobs/" + id
	for _, err := range []error{r.watcher.send("jobs/device/gw-1/"+id, []byte(doc)), r.watcher.sees(topic, `.state | IN("succeeded", "failed", "rejected")`)} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.watcher.mu.Lock()
	defer r.watcher.mu.Unlock()
	var s struct {
		State, Reason string
		Steps         []struct{ Output string }
	}
	if err := json.Unmarshal(r.watcher.last[topic], &s); err != nil {
		r.t.Fatal(err)
	}
	r.say("the device says: %s %s\n%s", s.State, s.Reason, s.Steps[0].Output)
	return s.State, s.Steps[0].Output
}

// A machine whose resolv.conf names a server that is none: one check fails, what
// depends on it says so, and a repair mends it.
func TestNamespaceABrokenDNSIsFoundAndMended(t *testing.T) {
	inNamespaces(t)
	r := newRemote(t)
	r.ip("-n", r.namespace, "route", "add", "default", "via", r.subnet+"1")
	r.names()
	r.resolver(r.subnet + "2") // the device itself, where nobody answers
	r.write("mended", "nameserver "+r.subnet+"1\n")
	r.online()
	checks := `[{"tcp":"updates.example.com:` + r.broker.device[strings.LastIndex(r.broker.device, ":")+1:] + `"},{"broker":true},{"dns":"updates.example.com"REPAIR},
		{"gateway":true},{"address":"eth0"},{"link":"eth0"},{"disk":"/","below":101},{"memory":true,"below":101}]`
	state, table := r.diagnose("look", strings.Replace(checks, "REPAIR", "", 1))
	if state != "failed" || strings.Count(table, "failed  ") != 1 || !strings.Contains(table, "which failed") {
		t.Errorf("got %s, want one failed check and others that depend on it", state)
	}
	repair := `,"within":"20s","repair":["cp","` + filepath.Join(r.dir, "mended") + `","/etc/resolv.conf"]`
	state, table = r.diagnose("mend", strings.Replace(checks, "REPAIR", repair, 1))
	if state != "succeeded" || !strings.Contains(table, "repair") || strings.Contains(table, "which failed") {
		t.Errorf("got %s, want all mended", state)
	}
	if state, _ = r.diagnose("look-again", strings.Replace(checks, "REPAIR", "", 1)); state != "succeeded" {
		t.Errorf("got %s, want it to stay mended", state)
	}
}
