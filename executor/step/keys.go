package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// maxKeys bounds a set: every signature is checked against each of its keys.
const maxKeys = 16

// Keys is the kind that changes which keys may sign jobs. It is always on trial:
// the new set is in force at once, and the old one beside it until a job has
// come that a new key signed, unless one signed the change itself. So neither a
// key that nobody holds nor a journal that is lost on trial locks the owner out. What Undo restores is in force
// again at once; the sequence stays used.
//
// It does not know whether its own job was signed: that is the agent's business.
type Keys struct {
	Files safefile.Files
	Path  string // of the file that holds the set

	// Used is the highest sequence that was used, and Use uses one durably; it
	// may be called again with the same. Nil is none, and nothing.
	Used func() (int64, error)
	Use  func(sequence int64) error
	// Now are the keys that count. Nil is none.
	Now func() []string
	// Signed reports whether a job that was accepted after this one, or this one
	// itself, was signed by a key with one of these ids. Nil is no.
	Signed func(job string, ids []string) (bool, error)
	// Alone says that no other job comes while this one is on trial: then the
	// proof that a new key is in somebody's hands must come along with it.
	Alone bool
	// Reload puts into force what lies at Path. It may be called when nothing
	// has changed. Nil reloads nothing.
	Reload func() error
}

// A KeySet is what the file holds.
type KeySet struct {
	Sequence int64    `json:"sequence"`
	Set      []string `json:"set"`
	Before   []string `json:"before,omitempty"` // on trial: those that still count too
}

type keysWith struct {
	Set      []string `json:"set"`
	Sequence int64    `json:"sequence"`
	Proof    string   `json:"proof"` // a new key's signature of text

	provers []string // the ids of the set's keys that made the proof
}

// text is what the proof signs: a line "keys SEQUENCE", then one for each key.
func (w keysWith) text() []byte {
	return fmt.Appendf(nil, "keys %d\n%s\n", w.Sequence, strings.Join(w.Set, "\n"))
}

// prove finds out which of the set's keys made the proof.
func (w *keysWith) prove(keys map[string]minisign.PublicKey) error {
	for id, key := range keys {
		if minisign.Verify(key, w.text(), []byte(w.Proof)) {
			w.provers = append(w.provers, id)
		}
	}
	if w.Proof != "" && len(w.provers) == 0 {
		return fmt.Errorf("proof: no key of the set made it: want a signature of these lines: %q", w.text())
	}
	return nil
}

type keysState struct {
	safefile.Undo
	Old []string `json:"old"` // the keys that counted before
}

func parseKeys(with json.RawMessage) (w keysWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	switch {
	case len(w.Set) == 0:
		return w, errors.New("set: want at least one key: with none in it nobody could sign a job any more")
	case len(w.Set) > maxKeys:
		return w, fmt.Errorf("set: there are %d keys: at most %d are taken", len(w.Set), maxKeys)
	case w.Sequence < 1:
		return w, errors.New("sequence: want a number above 0, and above that of every key set before")
	}
	keys, err := keysByID(nil, w.Set)
	if err == nil {
		err = w.prove(keys)
	}
	return w, err
}

// keysByID adds keys to those that are there, by id. No two may share one: who
// signed a job is known by the id alone.
func keysByID(there map[string]minisign.PublicKey, keys []string) (map[string]minisign.PublicKey, error) {
	all := map[string]minisign.PublicKey{}
	for id, key := range there {
		all[id] = key
	}
	for i, text := range keys {
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("set: %q is no minisign public key: want the second line of the .pub file", text)
		}
		id := fmt.Sprintf("%016X", key.ID())
		if had, ok := all[id]; ok && !had.Equal(key) || slices.Contains(keys[:i], text) {
			return nil, fmt.Errorf("set: two keys have the id %s", id)
		}
		all[id] = key
	}
	return all, nil
}

// Trial implements executor.Trialist.
func (k Keys) Trial(json.RawMessage) *executor.Trial { return &executor.Trial{Proof: k.proof} }

// Check implements executor.Kind.
func (k Keys) Check(with json.RawMessage) error {
	w, err := parseKeys(with)
	if err != nil {
		return err
	}
	isNew := func(key string) bool { return k.Now != nil && !slices.Contains(k.Now(), key) }
	if k.Alone && w.Proof == "" && slices.ContainsFunc(w.Set, isNew) {
		return errors.New("proof: here no other job can come while this one is on trial, so want a signature of a new key in it")
	}
	return k.rises(w.Sequence)
}

func (k Keys) rises(sequence int64) error {
	if k.Used == nil {
		return nil
	}
	used, err := k.Used()
	if err == nil && sequence <= used {
		err = fmt.Errorf("sequence: %d was used already, or a later one: want one above %d", sequence, used)
	}
	return err
}

// Run implements executor.Kind.
func (k Keys) Run(ctx context.Context, t *executor.Task) error {
	_, cancel := t.Limit(ctx, safefile.Timeout)
	defer cancel()
	w, err := parseKeys(t.With)
	if err != nil {
		return err
	}
	var s keysState
	begun, err := t.Load(&s)
	if err == nil && !begun {
		err = k.first(w, &s)
	}
	if err == nil {
		err = s.Keep(k.Files, t.Dir, k.Path, func() error { return t.Save(&s) })
	}
	if err == nil && k.Use != nil {
		err = k.Use(w.Sequence)
	}
	if err != nil {
		return err
	}
	return k.Write(KeySet{w.Sequence, w.Set, s.Old})
}

// first notes what counts before the change; from then on the sequence is this
// step's.
func (k Keys) first(w keysWith, s *keysState) error {
	if k.Now != nil {
		s.Old = k.Now()
	}
	old, err := keysByID(nil, s.Old)
	if err == nil {
		_, err = keysByID(old, w.Set)
	}
	if err != nil {
		return err
	}
	return k.rises(w.Sequence)
}

func (k Keys) Write(set KeySet) error {
	text, err := json.Marshal(set)
	if err != nil {
		return err
	}
	if err := k.Files.Write(k.Path, strings.NewReader(string(text)+"\n"), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1}); err != nil {
		return err
	}
	return k.reload()
}

// proof reports whether there is reason to believe that the owner has the new keys.
func (k Keys) proof(_ context.Context, t *executor.Task) error {
	w, err := parseKeys(t.With)
	if err != nil {
		return err
	}
	var s keysState
	if _, err := t.Load(&s); err != nil {
		return err
	}
	ids, err := provers(w.Set, s.Old)
	if err != nil {
		return err
	}
	signed := slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(w.provers, id) })
	if !signed && k.Signed != nil {
		signed, err = k.Signed(t.Job, ids)
	}
	if err == nil && !signed {
		err = fmt.Errorf("no job has come that was signed by a new key (%s)", strings.Join(ids, " or "))
	}
	return err
}

// Confirm implements executor.Confirmer: from now on the old keys do not count.
func (k Keys) Confirm(_ context.Context, t *executor.Task) error {
	w, err := parseKeys(t.With)
	if err != nil {
		return err
	}
	return k.Write(KeySet{Sequence: w.Sequence, Set: w.Set})
}

// provers are the ids of the keys of which one must have signed: those that the
// change brings or, where it only takes some away, those that stay.
func provers(set, old []string) (ids []string, err error) {
	had, err := keysByID(nil, old)
	if err != nil {
		return nil, err
	}
	now, err := keysByID(nil, set)
	if err != nil {
		return nil, err
	}
	var stay []string
	for id := range now {
		if _, ok := had[id]; ok {
			stay = append(stay, id)
		} else {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		ids = stay
	}
	slices.Sort(ids)
	return ids, nil
}

// Undo implements executor.Undoer. Reloading changes nothing where nothing was
// written.
func (k Keys) Undo(_ context.Context, t *executor.Task) error {
	var s keysState
	if _, err := t.Load(&s); err != nil {
		return err
	}
	if err := s.Restore(k.Files, t.Dir); err != nil {
		return err
	}
	return k.reload()
}

func (k Keys) reload() error {
	if k.Reload == nil {
		return nil
	}
	if err := k.Reload(); err != nil {
		return fmt.Errorf("reloading the keys: %w", err)
	}
	return nil
}

// Describe implements executor.Describer.
func (k Keys) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Does:  fmt.Sprintf("sets the %d keys that may sign jobs", len(executor.ReadParams(s.With).List("set"))),
		Cut:   "the trial begins again",
		Undo:  "the old keys are put back",
		Trial: executor.Reconnected + " and have accepted a job that one of the new keys signed",
	}
}
