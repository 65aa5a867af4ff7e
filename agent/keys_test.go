package agent

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A signer is an owner with a key.
type signer struct {
	t       *testing.T
	key     string // the public one
	private minisign.PrivateKey
}

// newSigner makes the key too.
func newSigner(t *testing.T) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, public.String(), private}
}

// sign puts a job for gw-1 into an envelope.
func (s signer) sign(job map[string]any) string {
	s.t.Helper()
	if job["cancel"] == nil {
		job["audience"] = []string{"device/gw-1"}
	}
	job["expires"] = executor.Time{Time: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	text, err := json.Marshal(job)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(dialect.Envelope{Job: string(text), Signature: string(minisign.Sign(s.private, text))}.Payload())
}

// offerSigned is offer for an envelope.
func (b *broker) offerSigned(s signer, job map[string]any) {
	b.t.Helper()
	b.retain("ratchet/v1/jobs/device/gw-1/"+job["id"].(string), s.sign(job))
}

// keysDoc is a job of one keys step.
func keysDoc(id string, sequence int, within string, set ...signer) map[string]any {
	var keys []string
	for _, s := range set {
		keys = append(keys, s.key)
	}
	return map[string]any{"id": id, "steps": []any{map[string]any{"name": "rotate", "confirm": map[string]any{"within": within},
		"keys": map[string]any{"set": keys, "sequence": sequence}}}}
}

// counts wants these keys to count, and no others.
func (d *device) counts(want ...signer) {
	d.t.Helper()
	await(d.t, fmt.Sprintf("%d keys to count", len(want)), func() bool {
		got := d.config.Load().Policy.Keys
		for i, s := range want {
			if i >= len(got) || got[i] != s.key {
				return false
			}
		}
		return len(got) == len(want)
	})
}

// owned is the policy of a device that obeys this key.
func owned(s signer) string { return fmt.Sprintf("[policy]\nkeys = [%q]", s.key) }

// The job that proves the new key is there before the change: it is refused
// first, and judged again once the key counts. No restart is needed for it.
func TestAKeyRotationIsConfirmedByAJobOfTheNewKey(t *testing.T) {
	was, next := newSigner(t), newSigner(t)
	b := newBroker(t)
	d := newDevice(t, b, owned(was)).start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offerSigned(next, doc("proof", file, "proof"))
	wantState(t, b.final("proof"), executor.Rejected)
	b.offerSigned(was, keysDoc("rotate", 1, "1m", next))
	wantState(t, b.final("rotate"), executor.Succeeded)
	await(t, "the job that proves the key", func() bool { return read(t, file) == "proof" })
	d.counts(next)
	b.offerSigned(was, doc("late", file, "late"))
	s := b.final("late")
	if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "none of policy.keys made it") {
		t.Errorf("got reason %q, want that the old key counts no more", s.Reason)
	}
	d.stop()
	d.start()
	d.counts(next)
	b.offerSigned(next, keysDoc("again", 1, "1m", was))
	s = b.final("again")
	if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "sequence: 1 was used") {
		t.Errorf("got reason %q, want that the sequence was used", s.Reason)
	}
}

func TestAKeyThatNeverSignsIsTakenBack(t *testing.T) {
	was, next := newSigner(t), newSigner(t)
	b := newBroker(t)
	d := newDevice(t, b, owned(was)).start().online(b)
	b.offerSigned(was, keysDoc("rotate", 1, "20s", next))
	d.counts(next, was)
	// What the old key signs meanwhile is no proof.
	file := filepath.Join(d.dir, "ran")
	b.offerSigned(was, doc("old", file, "old"))
	s := b.final("rotate")
	if wantState(t, s, executor.Failed); !strings.Contains(s.Reason, "not confirmed within 20s: no job has come that was signed by a new key") {
		t.Errorf("got reason %q", s.Reason)
	}
	d.counts(was)
	if _, err := os.Stat(filepath.Join(d.dir, "keys.json")); !os.IsNotExist(err) {
		t.Errorf("the undo left keys.json behind (%v)", err)
	}
	wantState(t, b.final("old"), executor.Succeeded)
	// The sequence stays used, also after a restart.
	d.stop()
	d.start()
	b.offerSigned(was, keysDoc("replay", 1, "5s", next))
	s = b.final("replay")
	if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "sequence: 1 was used") {
		t.Errorf("got reason %q, want that the sequence was used", s.Reason)
	}
}

// Cancel works at any moment: by the old key as long as it counts. The keys are
// all that is read again, whatever has become of the configuration.
func TestTheOldKeyCancelsARotationThatWaitsForItsProof(t *testing.T) {
	was, next := newSigner(t), newSigner(t)
	b := newBroker(t)
	d := newDevice(t, b, owned(was)).start().online(b)
	b.offerSigned(was, keysDoc("rotate", 1, "10m", next))
	d.counts(next, was)
	d.write("ratchet.toml", "what is this")
	b.retain("ratchet/v1/jobs/device/gw-1/rotate", was.sign(map[string]any{"id": "rotate", "cancel": true, "audience": []string{"all"}}))
	wantState(t, b.final("rotate"), executor.Cancelled)
	d.counts(was)
}

func TestOnlyWhoMaySignSetsKeys(t *testing.T) {
	next := newSigner(t)
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.offerSigned(next, keysDoc("signed", 1, "5s", next))
	b.offer("device/gw-1", keysDoc("bare", 1, "5s", next))
	for _, id := range []string{"signed", "bare"} {
		s := b.final(id)
		if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "only a signed job may change which keys may sign") {
			t.Errorf("got reason %q", s.Reason)
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "keys.json")); !os.IsNotExist(err) {
		t.Errorf("a refused job left keys.json behind (%v)", err)
	}
}

func TestNoOtherKindTouchesTheKeySet(t *testing.T) {
	was := newSigner(t)
	b := newBroker(t)
	d := newDevice(t, b, owned(was)).start().online(b)
	for id, step := range map[string]map[string]any{
		"file":     {"file": map[string]any{"path": filepath.Join(d.dir, "keys.json"), "content": "{}"}},
		"beside":   {"file": map[string]any{"path": filepath.Join(d.dir, ".keys.json.ratchet-new"), "content": "{}"}},
		"config":   {"config": map[string]any{"files": []any{map[string]any{"path": filepath.Join(d.dir, "keys.json"), "absent": true}}}},
		"settings": {"settings": map[string]any{"name": "x", "content": "[policy]\nkeys = []\n"}},
		"policy":   {"file": map[string]any{"path": filepath.Join(d.dir, "ratchet.toml"), "content": ""}},
	} {
		step["name"] = "s"
		b.offerSigned(was, map[string]any{"id": id, "steps": []any{step}})
		wantState(t, b.final(id), executor.Rejected)
	}
}
