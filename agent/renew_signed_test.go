package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A service may give the document of an accepted job again, for its URLs go
// stale. It must not get steps into a signed job that nobody signed.
func TestAServiceCannotChangeASignedJobThatWasAccepted(t *testing.T) {
	owner := newSigner(t)
	service, d := newAWS(t, "")
	d.write("ratchet.toml", readAll(t, d.dir+"/ratchet.toml")+owned(owner))
	inhibit := filepath.Join(d.dir, "state/inhibit")
	if err := os.MkdirAll(inhibit, 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("state/inhibit/app", "not now")
	d.start()
	await(t, "a connection", d.link.Settled)
	file := filepath.Join(d.dir, "ran")
	create(t, service, "j", owner.sign(doc("j", file, "owner")))
	var waiting dialect.Offer
	await(t, "the job to be accepted", func() bool {
		unfinished, err := d.db.Unfinished()
		if err != nil || len(unfinished) == 0 || !d.queue.has(unfinished[0].Key) {
			return false
		}
		text := strings.Replace(string(unfinished[0].Text), "echo owner", "echo thief", 1)
		waiting = dialect.Offer{ID: "j", Key: unfinished[0].Key, Text: []byte(text), Origin: unfinished[0].Origin}
		return true
	})
	if !strings.Contains(string(waiting.Text), "echo thief") {
		t.Fatalf("got text %q, want one to change", waiting.Text)
	}
	if err := d.intake.Offer(t.Context(), waiting, true); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(inhibit); err != nil {
		t.Fatal(err)
	}
	e := ends(t, service, "j")
	if got := read(t, file); e.Status != "SUCCEEDED" || got != "owner" {
		t.Errorf("got %s and %q, want what the owner signed", e.Status, got)
	}
}
