package step_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestKeysRefuses(t *testing.T) {
	a, _ := steptest.NewSigningKey(t)
	b, _ := steptest.NewSigningKey(t)
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
			steptest.WantError(t, err, want)
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
	oldKey, oldID := steptest.NewSigningKey(t)
	newOne, newID := steptest.NewSigningKey(t)
	c := &chest{dir: t.TempDir(), now: []string{oldKey}}
	a := steptest.NewAttempt(t, `{"set":[%q],"sequence":3}`, newOne)
	if err := a.Run(t.Context(), c.kind()); err != nil {
		t.Fatal(err)
	}
	if want := []string{newOne, oldKey}; !slices.Equal(c.inForce, want) || c.used != 3 {
		t.Errorf("on trial: got %v and sequence %d, want %v and 3", c.inForce, c.used, want)
	}
	proof := c.kind().Trial(a.With).Proof
	c.signed = []string{oldID}
	steptest.WantError(t, proof(t.Context(), a.Next()), "no job has come that was signed by a new key ("+newID+")")
	c.signed = []string{newID}
	if err := proof(t.Context(), a.Next()); err != nil || len(c.inForce) != 2 {
		t.Fatalf("proved: got %v, and %d keys that count, want 2: a proof only looks", err, len(c.inForce))
	}
	for range 2 { // a cut may have come between that and the end of the step
		if err := c.kind().Confirm(t.Context(), a.Next()); err != nil {
			t.Fatal(err)
		}
		if want := []string{newOne}; !slices.Equal(c.inForce, want) {
			t.Errorf("confirmed: got %v, want %v", c.inForce, want)
		}
	}
	if err := a.Undo(c.kind()); err != nil || c.inForce != nil || c.used != 3 {
		t.Errorf("undone: got %v, %v and sequence %d, want no file and sequence 3", err, c.inForce, c.used)
	}
}

// Whoever signs jobs already need not do so again: only what is new is on trial.
func TestWhichKeysProveASet(t *testing.T) {
	a, idA := steptest.NewSigningKey(t)
	b, idB := steptest.NewSigningKey(t)
	x, idX := steptest.NewSigningKey(t)
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
		at := steptest.NewAttempt(t, `{"set":%s,"sequence":1}`, set)
		if err := at.Run(t.Context(), c.kind()); err != nil {
			t.Fatal(err)
		}
		steptest.WantError(t, c.kind().Trial(at.With).Proof(t.Context(), at.Next()), "no job has come")
		if !slices.Equal(c.asked, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, c.asked, tt.want)
		}
	}
}

func TestASequenceIsUsedOnce(t *testing.T) {
	k, _ := steptest.NewSigningKey(t)
	c := &chest{dir: t.TempDir(), used: 5}
	for _, n := range []int{1, 5} {
		with := fmt.Sprintf(`{"set":[%q],"sequence":%d}`, k, n)
		steptest.WantError(t, c.kind().Check([]byte(with)), "want one above 5")
		steptest.WantError(t, steptest.NewAttempt(t, "%s", with).Run(t.Context(), c.kind()), "want one above 5")
	}
	if _, err := c.read(); !os.IsNotExist(err) {
		t.Errorf("a refused set was written (%v)", err)
	}
	a := steptest.NewAttempt(t, `{"set":[%q],"sequence":6}`, k)
	for range 2 { // cut after its work: its own sequence is no obstacle
		if err := a.Run(t.Context(), c.kind()); err != nil {
			t.Fatal(err)
		}
	}
	steptest.WantError(t, steptest.NewAttempt(t, `{"set":[%q],"sequence":6}`, k).Run(t.Context(), c.kind()), "want one above 6")
}

func TestASequenceIsUsedBeforeTheSetIsChanged(t *testing.T) {
	k, _ := steptest.NewSigningKey(t)
	c := &chest{dir: t.TempDir(), failUses: true}
	a := steptest.NewAttempt(t, `{"set":[%q],"sequence":1}`, k)
	steptest.WantError(t, a.Run(context.Background(), c.kind()), os.ErrPermission.Error())
	if _, err := c.read(); !os.IsNotExist(err) {
		t.Errorf("the set was written without its sequence (%v)", err)
	}
	c.failUses = false
	if err := a.Run(context.Background(), c.kind()); err != nil {
		t.Error(err)
	}
}

// A forged key with the id of one that counts would pass for it.
func TestNoKeyTakesTheIdOfAnother(t *testing.T) {
	k, _ := steptest.NewSigningKey(t)
	twin := k[:len(k)-4] + "AAAA"
	if twin == k {
		t.Skip("the key is its own twin")
	}
	c := &chest{dir: t.TempDir(), now: []string{k}}
	steptest.WantError(t, steptest.NewAttempt(t, `{"set":[%q],"sequence":1}`, twin).Run(t.Context(), c.kind()), "two keys have the id")
}
