package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is what `go install` builds: a tool of these tests alone, of which go.mod
// knows nothing.
const server = "github.com/nats-io/nats-server/v2@v2.15.3"

// build is where it stays, so that it is built once.
const build = "../../build"

var installed = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(build)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "install", server)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s cannot be built here: %w: %s", server, err, out)
	}
	return filepath.Join(dir, "nats-server"), nil
})

// A node is one server of the cluster.
type node struct {
	name, client, cluster, mqtt string // addresses
	dir                         string
	env                         []string
	cmd                         *exec.Cmd
}

// newCluster starts three nodes from the sample, on loopback, and waits until they
// serve. What they write goes with the test.
func newCluster(t *testing.T) []*node {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	if _, err := installed(); err != nil {
		t.Skip(err)
	}
	var nodes []*node
	var routes []string
	addresses := freeAddresses(t, 9)
	for i, a := range slices.Collect(slices.Chunk(addresses, 3)) {
		nodes = append(nodes, &node{name: fmt.Sprintf("n%d", i+1), client: a[0], cluster: a[1], mqtt: a[2], dir: t.TempDir()})
		routes = append(routes, fmt.Sprintf("%q", "nats://"+a[1]))
	}
	for _, n := range nodes {
		n.env = append(os.Environ(), "NATS_NODE="+n.name, "NATS_STORE="+n.dir, "NATS_LISTEN="+n.client, "NATS_CLUSTER="+n.cluster,
			"NATS_MQTT="+n.mqtt, "NATS_ROUTES=["+strings.Join(routes, ",")+"]")
		n.start(t)
		t.Cleanup(func() { n.kill(t) })
	}
	for _, n := range nodes {
		n.serves(t)
	}
	return nodes
}

func (n *node) start(t *testing.T) {
	t.Helper()
	program, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command(program, "-c", "ratchet.conf", "-l", filepath.Join(n.dir, "log"))
	n.cmd.Env = n.env
	n.cmd.Stderr = os.Stderr // what is wrong with the sample goes there, and the rest into the log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// serves waits until the node takes part in the cluster's JetStream.
func (n *node) serves(t *testing.T) {
	t.Helper()
	await(t, n.name+" to serve", func() error {
		_, err := ask[struct{ Streams int }](n.client, "INFO", nil)
		return err
	})
}

// kill ends the node as a power cut would: it says nothing to anybody.
func (n *node) kill(t *testing.T) {
	t.Helper()
	if n.cmd == nil {
		return
	}
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = n.cmd.Wait()
	n.cmd = nil
}

// freeAddresses are some that were free just now, all different.
func freeAddresses(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

// await asks until nothing is missing any more. The machine may be busy.
func await(t *testing.T, what string, missing func() error) {
	t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for {
		err := missing()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited three minutes for %s: %v", what, err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}
