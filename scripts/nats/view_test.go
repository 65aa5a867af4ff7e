package main

import (
	"slices"
	"strings"
	"testing"
)

// views names the consumers by which the nodes know what is retained.
func views(t *testing.T, at *node) []string {
	t.Helper()
	is, err := ask[struct{ Consumers []string }](at.client, "CONSUMER.NAMES.$MQTT_rmsgs", nil)
	if err != nil {
		t.Fatal(err)
	}
	return is.Consumers
}

// madeView has the node make its view, and returns the name of the node where it lies.
func madeView(t *testing.T, n *node, before []string) (lies string) {
	t.Helper()
	await(t, n.name+" to know what is retained", func() error { _, err := ratchet(t, n, "devices"); return err })
	i := slices.IndexFunc(views(t, n), func(name string) bool { return !slices.Contains(before, name) })
	if i < 0 {
		t.Fatalf("%s has made no consumer of what is retained", n.name)
	}
	is, err := ask[consumer](n.client, "CONSUMER.INFO.$MQTT_rmsgs."+views(t, n)[i], nil)
	if err != nil {
		t.Fatal(err)
	}
	return is.Cluster.Leader
}

// Why this program is there: a node whose view died with another does not show what is
// told from then on. Whoever submits there is told, broker check finds it, and all is
// shown when the other is back.
func TestE2EAViewThatDiedWithItsNodeIsFound(t *testing.T) {
	nodes := newCluster(t)
	blind := nodes[2]
	for _, n := range nodes[:2] {
		await(t, "streams", func() error { _, err := ratchet(t, n, "devices"); return err })
	}
	lies := madeView(t, blind, views(t, nodes[0]))
	for lies == blind.name { // any node is as likely
		before := views(t, nodes[0])
		blind.kill(t)
		blind.start(t)
		blind.serves(t)
		lies = madeView(t, blind, before)
	}
	i := slices.IndexFunc(nodes, func(n *node) bool { return n.name == lies })
	doomed, other := nodes[i], nodes[1-i]
	t.Logf("%s knows what is retained from %s, which is killed", blind.name, doomed.name)
	doomed.kill(t)
	file := jobFile(t, "after")
	await(t, "the cluster", func() error { _, err := ratchet(t, other, "submit", file, "--to", "group/routers"); return err })
	if out := show(t, blind, "jobs"); strings.Contains(out, "after") {
		t.Error("it knows what is retained all the same: this program is needed no longer")
	}
	show(t, other, "jobs")
	out, err := ratchet(t, blind, "broker", "check", "--messages", "100")
	t.Logf("at %s: ratchet broker check\n%s", blind.name, out)
	if err == nil {
		t.Error("broker check finds nothing")
	}
	if out := show(t, blind, "submit", jobFile(t, "later"), "--to", "group/routers"); !strings.Contains(out, "does not keep") {
		t.Error("want submit to say that the node does not keep what it was given")
	}
	doomed.start(t)
	for _, n := range nodes {
		await(t, "all jobs", func() error { return offered(t, n, "after", "later") })
	}
}
