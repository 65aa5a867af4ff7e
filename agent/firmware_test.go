package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// TestAFlashWaitsUntilItsWarningIsTold, while there is a broker that takes it.
func TestAFlashWaitsUntilItsWarningIsTold(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	later := doc("j", filepath.Join(t.TempDir(), "f"), "x")
	later["notBefore"] = "2099-01-01T00:00:00Z"
	b.offer("device/gw-1", later)
	b.await("ratchet/v1/device/gw-1/jobs/j", func(p string) bool { return statusOf(p).State == executor.Waiting })
	records, err := d.db.Records()
	if err != nil || len(records) != 1 {
		t.Fatalf("got %v, %v, want one Record", records, err)
	}
	d.untilTold(t.Context(), "another")
	d.report.Flush(patience) // so that nothing is under way which would tell it
	untold := records[0]
	untold.Rev++
	untold.Warnings = []string{"there is no way back"}
	if err := d.db.Put(untold); err != nil { // of which nobody tells the link
		t.Fatal(err)
	}
	waits := func() <-chan bool {
		done := make(chan bool)
		go func() { d.untilTold(t.Context(), "j"); close(done) }()
		return done
	}
	done := waits()
	select {
	case <-done:
		t.Error("it did not wait until the warning was told")
	case <-time.After(200 * time.Millisecond): // as nothing else can show it
	}
	d.report.Wake()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("the warning was told, and it still waits")
	}
	untold.Rev++
	if err := d.db.Put(untold); err != nil {
		t.Fatal(err)
	}
	b.stop()
	defer b.start()
	select {
	case <-waits():
	case <-time.After(patience):
		t.Error("there is nobody to tell, and it waits")
	}
}

// TestTheOwnersScriptIsFoundByARelativePathToo of the configuration.
func TestTheOwnersScriptIsFoundByARelativePathToo(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho '{\"version\":\"1.0\",\"slot\":\"A\",\"slots\":2}'\n"
	if err := os.WriteFile(filepath.Join(dir, "firmware"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	got := strings.Join(DescribeBoard(t.Context(), config.DefaultAt("ratchet.toml")), "\n")
	if want := "firmware: script, runs 1.0 in A"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
