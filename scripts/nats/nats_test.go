package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// job marks each step in the device's folder; the first waits for a file there.
const job = `{"id": %q, "steps": [
	{"name": "first", "command": {"argv": ["sh", "-c", "echo first >>$DIR/%[1]s; until test -e $DIR/go; do sleep 0.1; done"], "env": {"DIR": {"jq": ".vars.dir"}}}},
	{"name": "second", "command": {"argv": ["sh", "-c", "echo second >>$DIR/%[1]s"], "env": {"DIR": {"jq": ".vars.dir"}}}}]}`

// A fleet is the devices of a session, by id, with their folders.
type fleet map[string]string

func (f fleet) start(t *testing.T, id string, known ...*node) { f[id] = startDevice(t, id, known...) }

// release lets the first step of these devices' jobs end.
func (f fleet) release(t *testing.T) {
	t.Helper()
	for _, dir := range f {
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ranOnce fails where a device did a step of the job not at all or twice.
func (f fleet) ranOnce(t *testing.T, id string) {
	t.Helper()
	for device, dir := range f {
		got, err := os.ReadFile(filepath.Join(dir, id))
		if err != nil || string(got) != "first\nsecond\n" {
			t.Errorf("%s: job %s did %q (%v), want each step once", device, id, got, err)
		}
	}
}

// jobFile is a file with the job under that id.
func jobFile(t *testing.T, id string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), id+".json")
	if err := os.WriteFile(file, fmt.Appendf(nil, job, id), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Two devices at each of three nodes are in the midst of a job when a node is
// killed. They go on at another; every device does every step of that job and of the
// next one once, and both other nodes tell so. A device that knew no other node is
// not taken for online. When the node is back it is as if nothing had been.
func TestE2EANodeOfTheClusterIsKilled(t *testing.T) {
	nodes := newCluster(t)
	show(t, nodes[0], "devices") // whoever comes first has the streams made
	leaderSecond(t, nodes)
	n1, n2, n3 := nodes[0], nodes[1], nodes[2]
	all := fleet{}
	for i, first := range []*node{n1, n2, n3, n1, n2, n3} {
		all.start(t, fmt.Sprintf("gw-%d", i+1), first, nodes[(i+1)%3], nodes[(i+2)%3])
	}
	all.start(t, "lone", n2)
	for _, n := range nodes {
		await(t, "all devices at "+n.name, func() error { return online(t, n, 7) })
	}
	if _, err := replicate(n1.client); err != nil {
		t.Fatal(err)
	}
	show(t, n3, "submit", jobFile(t, "one"), "--to", "group/routers")
	await(t, "the job to run everywhere", func() error { return stands(t, n3, "one", map[string]int{"running": 7}) })

	t.Logf("%s, which leads the stream of messages, is killed", n2.name)
	n2.kill(t)
	all.release(t)
	for _, n := range []*node{n1, n3} {
		await(t, "what the devices did", func() error { return stands(t, n, "one", map[string]int{"running": 1, "succeeded": 6}) })
	}
	show(t, n1, "submit", jobFile(t, "two"), "--to", "group/routers")
	for _, n := range []*node{n1, n3} {
		await(t, "what the devices did", func() error { return stands(t, n, "two", map[string]int{"succeeded": 6}) })
	}
	show(t, n3, "devices")
	if out := show(t, n3, "devices", "--stale", "20s"); !strings.Contains(out, "lone    stale") || strings.Count(out, "  online") != 6 {
		t.Error("want lone stale, and the six others online")
	}

	t.Logf("%s is started again", n2.name)
	n2.start(t)
	for _, n := range nodes {
		for _, id := range []string{"one", "two"} {
			await(t, "what all devices did", func() error { return stands(t, n, id, map[string]int{"succeeded": 7}) })
		}
	}
	show(t, n2, "jobs")
	all.ranOnce(t, "one")
	all.ranOnce(t, "two")
}

// leaderSecond puts that node second whose death is felt most: nobody else gets an
// answer to a message until another one leads.
func leaderSecond(t *testing.T, nodes []*node) {
	t.Helper()
	await(t, "a leader", func() error {
		is, err := ask[consumer](nodes[0].client, "STREAM.INFO.$MQTT_msgs", nil)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(nodes, func(n *node) bool { return n.name == is.Cluster.Leader })
		if i < 0 {
			return fmt.Errorf("%q leads", is.Cluster.Leader)
		}
		nodes[i], nodes[1] = nodes[1], nodes[i]
		return nil
	})
}

// online asks a node for devices that say they are there.
func online(t *testing.T, at *node, want int) error {
	t.Helper()
	out, err := ratchet(t, at, "devices")
	if err != nil {
		return err
	}
	if n := strings.Count(out, "  online"); n != want {
		return fmt.Errorf("%d devices are online at %s, want %d:\n%s", n, at.name, want, out)
	}
	return nil
}
