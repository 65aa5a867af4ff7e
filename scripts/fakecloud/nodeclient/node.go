// Package nodeclient runs clients of clouds that are written for Node, with the
// packages of the registry that their package-lock.json names.
package nodeclient

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// A Client is a program that runs.
type Client struct {
	t     *testing.T
	in    io.WriteCloser
	lines *bufio.Scanner
	ended func() error
}

// patience is how long a client may take in all.
const patience = 3 * time.Minute

// Start installs what the folder of a program needs, and starts the program. It
// skips the test where Node, npm or the registry is missing.
func Start(t *testing.T, dir, program string, args ...string) *Client {
	t.Helper()
	install(t, dir)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", append([]string{program}, args...)...)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &Client{t: t, in: in, lines: bufio.NewScanner(out), ended: cmd.Wait}
}

// Next reads the next line that the client says, which is JSON, into v, and
// reports whether there is one.
func (c *Client) Next(v any) bool {
	c.t.Helper()
	if !c.lines.Scan() {
		return false
	}
	c.t.Logf("the client says %s", c.lines.Bytes())
	if err := json.Unmarshal(c.lines.Bytes(), v); err != nil {
		c.t.Fatal(err)
	}
	return true
}

// Say lets a client that waits for a line go on.
func (c *Client) Say() {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.t.Fatal(err)
	}
}

// End waits for the client's end, which must be a good one.
func (c *Client) End() {
	c.t.Helper()
	for c.lines.Scan() {
		c.t.Errorf("the client also says %s", c.lines.Bytes())
	}
	if err := c.ended(); err != nil {
		c.t.Errorf("the client ended: %v", err)
	}
}

// unreachable is what npm says where it cannot ask the registry.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH`)

// install brings the folder's packages, exactly those of package-lock.json,
// unless they are there. None of them may run a program of its own for that.
func install(t *testing.T, dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: apt-get install nodejs npm", program)
		}
	}
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if there, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil && there.ModTime().After(lock.ModTime()) {
		return
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if unreachable.Match(out) {
			t.Skipf("the packages of %s cannot be fetched: %s", dir, out)
		}
		t.Fatalf("npm ci in %s: %v\n%s", dir, err, out)
	}
}
