package step_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// newKey returns a minisign public key and its id.
func newKey(t *testing.T) (key, id string) {
	t.Helper()
	public, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public.String(), fmt.Sprintf("%016X", public.ID())
}

// keysCases are what the suite cuts of the kind keys.
func keysCases(t *testing.T) []steptest.Case {
	var dir string
	one, _ := newKey(t)
	kind := func(f safefile.Files) executor.Kind {
		return late{func() undoable { return step.Keys{Files: f, Path: filepath.Join(dir, "keys.json")} }}
	}
	with := func(d string) string {
		dir = d
		return fmt.Sprintf(`{"set":[%q],"sequence":7}`, one)
	}
	return []steptest.Case{
		{Name: "keys, the first set", Kind: kind, With: with},
		{Name: "keys, another set", Kind: kind, Setup: old("keys.json"), With: with},
	}
}

func TestKeysRefuses(t *testing.T) {
	a, _ := newKey(t)
	b, _ := newKey(t)
	many := fmt.Sprintf("%q", a) + strings.Repeat(fmt.Sprintf(",%q", b), 16)
	for with, want := range map[string]string{
		`{"set":[],"sequence":1}`:                                   "set: want at least one key",
		`{"sequence":1}`:                                            "set: want at least one key",
		`{"set":null,"sequence":1}`:                                 "set: ",
		fmt.Sprintf(`{"set":[%q],"sequence":1,"proof":"x"}`, a):     "proof: no key of the set made it",
		fmt.Sprintf(`{"set":[%q]}`, a):                              "sequence: want a number above 0",
		fmt.Sprintf(`{"set":[%q],"sequence":-1}`, a):                "sequence: ",
		fmt.Sprintf(`{"set":[%q],"sequence":1.5}`, a):               "sequence: ",
		fmt.Sprintf(`{"set":[%q,%q,%q],"sequence":1}`, a, b, a):     "two keys have the id",
		fmt.Sprintf(`{"set":[%q],"sequence":1}`, a[:20]):            "no minisign public key",
		`{"set":[""],"sequence":1}`:                                 "no minisign public key",
		fmt.Sprintf(`{"set":[%s],"sequence":1}`, many):              "at most 16",
		fmt.Sprintf(`{"set":[%q],"sequence":1,"allow":["*"]}`, a):   "allow: unknown field",
		fmt.Sprintf(`{"set":[%q,{"jq":".x"}],"sequence":1}`, a):     "set",
		fmt.Sprintf(`{"set":[%q],"sequence":99999999999999999}`, a): "",
	} {
		err := step.Keys{}.Check([]byte(with))
		if want == "" && err != nil {
			t.Errorf("%s: got %v, want none", with, err)
		}
		if want != "" {
			wantError(t, err, want)
		}
	}
}

// A chest is a device with a key set, that notes what comes into force.
type chest struct {
	dir      string
	used     int64
	now      []string
	signed   []string // ids of the keys that signed what came
	asked    []string // ids that were asked for
	inForce  []string
	failUses bool
}

func (c *chest) kind() step.Keys {
	return step.Keys{Path: filepath.Join(c.dir, "keys.json"),
		Used: func() (int64, error) { return c.used, nil },
		Use: func(n int64) error {
			if c.failUses {
				return os.ErrPermission
			}
			c.used = n
			return nil
		},
		Now: func() []string { return c.now },
		Signed: func(_ string, ids []string) (bool, error) {
			c.asked = ids
			return slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(c.signed, id) }), nil
		},
		Reload: func() error {
			set, err := c.read()
			if os.IsNotExist(err) {
				c.inForce = nil
				return nil
			}
			c.inForce = slices.Concat(set.Set, set.Before)
			return err
		}}
}

func (c *chest) read() (set step.KeySet, err error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "keys.json"))
	if err != nil {
		return set, err
	}
	return set, json.Unmarshal(text, &set)
}

func TestTheOldKeysCountBesideTheNewUntilANewOneHasSigned(t *testing.T) {
	oldKey, oldID := newKey(t)
	newOne, newID := newKey(t)
	c := &chest{dir: t.TempDir(), now: []string{oldKey}}
	a := newAttempt(t, `{"set":[%q],"sequence":3}`, newOne)
	if err := a.run(t.Context(), c.kind()); err != nil {
		t.Fatal(err)
	}
	if want := []string{newOne, oldKey}; !slices.Equal(c.inForce, want) || c.used != 3 {
		t.Errorf("on trial: got %v and sequence %d, want %v and 3", c.inForce, c.used, want)
	}
	proof := c.kind().Trial(a.With).Proof
	c.signed = []string{oldID}
	wantError(t, proof(t.Context(), a.task()), "no job has come that was signed by a new key ("+newID+")")
	c.signed = []string{newID}
	if err := proof(t.Context(), a.task()); err != nil || len(c.inForce) != 2 {
		t.Fatalf("proved: got %v, and %d keys that count, want 2: a proof only looks", err, len(c.inForce))
	}
	for range 2 { // a cut may have come between that and the end of the step
		if err := c.kind().Confirm(t.Context(), a.task()); err != nil {
			t.Fatal(err)
		}
		if want := []string{newOne}; !slices.Equal(c.inForce, want) {
			t.Errorf("confirmed: got %v, want %v", c.inForce, want)
		}
	}
	if err := a.undo(c.kind()); err != nil || c.inForce != nil || c.used != 3 {
		t.Errorf("undone: got %v, %v and sequence %d, want no file and sequence 3", err, c.inForce, c.used)
	}
}

// Whoever signs jobs already need not do so again: only what is new is on trial.
func TestWhichKeysProveASet(t *testing.T) {
	a, idA := newKey(t)
	b, idB := newKey(t)
	x, idX := newKey(t)
	both := []string{idA, idB}
	slices.Sort(both)
	for _, tt := range []struct {
		name     string
		old, set []string
		want     []string
	}{
		{"another one", []string{a}, []string{b}, []string{idB}},
		{"one more", []string{a, b}, []string{a, b, x}, []string{idX}},
		{"one less", []string{a, b, x}, []string{a, b}, both},
		{"the same", []string{a}, []string{a}, []string{idA}},
		{"the first", nil, []string{a}, []string{idA}},
	} {
		c := &chest{dir: t.TempDir(), now: tt.old}
		set, _ := json.Marshal(tt.set)
		at := newAttempt(t, `{"set":%s,"sequence":1}`, set)
		if err := at.run(t.Context(), c.kind()); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.kind().Trial(at.With).Proof(t.Context(), at.task()), "no job has come")
		if !slices.Equal(c.asked, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, c.asked, tt.want)
		}
	}
}

func TestASequenceIsUsedOnce(t *testing.T) {
	k, _ := newKey(t)
	c := &chest{dir: t.TempDir(), used: 5}
	for _, n := range []int{1, 5} {
		with := fmt.Sprintf(`{"set":[%q],"sequence":%d}`, k, n)
		wantError(t, c.kind().Check([]byte(with)), "want one above 5")
		wantError(t, newAttempt(t, "%s", with).run(t.Context(), c.kind()), "want one above 5")
	}
	if _, err := c.read(); !os.IsNotExist(err) {
		t.Errorf("a refused set was written (%v)", err)
	}
	a := newAttempt(t, `{"set":[%q],"sequence":6}`, k)
	for range 2 { // cut after its work: its own sequence is no obstacle
		if err := a.run(t.Context(), c.kind()); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, newAttempt(t, `{"set":[%q],"sequence":6}`, k).run(t.Context(), c.kind()), "want one above 6")
}

func TestASequenceIsUsedBeforeTheSetIsChanged(t *testing.T) {
	k, _ := newKey(t)
	c := &chest{dir: t.TempDir(), failUses: true}
	a := newAttempt(t, `{"set":[%q],"sequence":1}`, k)
	wantError(t, a.run(context.Background(), c.kind()), os.ErrPermission.Error())
	if _, err := c.read(); !os.IsNotExist(err) {
		t.Errorf("the set was written without its sequence (%v)", err)
	}
	c.failUses = false
	if err := a.run(context.Background(), c.kind()); err != nil {
		t.Error(err)
	}
}

// A forged key with the id of one that counts would pass for it.
func TestNoKeyTakesTheIdOfAnother(t *testing.T) {
	k, _ := newKey(t)
	twin := k[:len(k)-4] + "AAAA"
	if twin == k {
		t.Skip("the key is its own twin")
	}
	c := &chest{dir: t.TempDir(), now: []string{k}}
	wantError(t, newAttempt(t, `{"set":[%q],"sequence":1}`, twin).run(t.Context(), c.kind()), "two keys have the id")
}
