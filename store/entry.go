package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
)

// level is the schema level this version knows.
const level = 1

var (
	bucketMeta    = []byte("meta")
	bucketJobs    = []byte("jobs")
	bucketPast    = []byte("past")
	bucketTexts   = []byte("texts")
	bucketIDs     = []byte("ids")
	bucketCancels = []byte("cancels")
	bucketMarks   = []byte("marks")
	bucketSamples = []byte("samples")

	buckets = [][]byte{bucketMeta, bucketJobs, bucketPast, bucketTexts, bucketIDs, bucketCancels, bucketMarks, bucketSamples}

	keyLevel = []byte("level")
	keyNew   = []byte("new")
	keyFloor = []byte("floor")
	keyID    = []byte("id")
	keyCount = []byte("commits")
	keyRead  = []byte("read")
)

// An entry is a Record's small state as it is kept. Told precedes the JSON, so that it
// can be set without decoding the rest, and without losing fields that a newer agent
// wrote.
type entry struct {
	executor.Record
	Expires executor.Time `json:"expires,omitzero"` // known when the text no longer is
	Told    uint64        `json:"-"`
}

func (e entry) encode() ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding job %s: %w", e.Key, err)
	}
	return append(number(e.Told), data...), nil
}

func decodeEntry(key string, value []byte) (entry, error) {
	var e entry
	if len(value) < 8 {
		return e, fmt.Errorf("job %q: it ends too early", key)
	}
	if err := json.Unmarshal(value[8:], &e); err != nil {
		return e, fmt.Errorf("job %q: %w", key, err)
	}
	if e.Key != key {
		return e, fmt.Errorf("job %q: it is kept under the key %q", e.Key, key)
	}
	e.Told = binary.BigEndian.Uint64(value)
	return e, nil
}

// A line is what is left of a pruned Record: enough to recognise the id and to say
// how the job ended. Up to 4,096 are kept, so its JSON names are short.
type line struct {
	ID      string         `json:"i,omitempty"` // empty: the key
	Seq     uint64         `json:"s"`
	Digest  string         `json:"d,omitempty"`
	State   executor.State `json:"t"`
	Reason  string         `json:"w,omitempty"`
	Rev     uint64         `json:"r"`
	Ended   int64          `json:"e,omitempty"` // unix seconds, as are:
	Expires int64          `json:"x,omitempty"`
	Since   int64          `json:"k,omitempty"` // when it became a line
}

func (e entry) line() line {
	return line{ID: e.ID, Seq: e.Seq, Digest: e.Digest, State: e.State, Reason: redact.Clip(e.Reason, 120), Rev: e.Rev,
		Ended: seconds(e.Ended.Time), Expires: seconds(e.Expires.Time)}
}

// since is the moment from which the days of an id without expires count.
func (l line) since() int64 { return cmp.Or(l.Ended, l.Since) }

func decodeLine(key, value []byte) (line, error) {
	var l line
	if err := json.Unmarshal(value, &l); err != nil {
		return l, fmt.Errorf("id %q: %w", key, err)
	}
	if l.ID == "" {
		l.ID = string(key)
	}
	return l, nil
}

// record is the line as a Record without text and steps.
func (l line) record(key string) executor.Record {
	return executor.Record{Key: key, ID: l.ID, Seq: l.Seq, Digest: l.Digest, State: l.State,
		Reason: l.Reason, Rev: l.Rev, Ended: executor.Time{Time: moment(l.Ended)}}
}

// bucketOf returns the bucket that holds the Record: jobs or past.
func bucketOf(tx *bolt.Tx, key string) (b *bolt.Bucket, state []byte) {
	for _, name := range [][]byte{bucketJobs, bucketPast} {
		b := tx.Bucket(name)
		if v := b.Get(stateKey(key)); v != nil {
			return b, v
		}
	}
	return nil, nil
}

// read assembles a Record from all that is kept of it. The Job stays empty where its
// text cannot be read, which matters for unfinished ones only.
func read(tx *bolt.Tx, key string) (entry, error) {
	b, value := bucketOf(tx, key)
	if b == nil {
		return entry{}, errGone
	}
	e, err := decodeEntry(key, value)
	if err != nil {
		return e, err
	}
	eachWith(tx.Bucket(bucketTexts), partPrefix(key), func(_, v []byte) { e.Text = append(e.Text, v...) })
	e.Job, _ = parse(e)
	prefix := partPrefix(key)
	eachWith(b, prefix, func(k, v []byte) { e.setPart(k[len(prefix):], v) })
	return e, nil
}

// eachWith calls fn for every key with the prefix.
func eachWith(b *bolt.Bucket, prefix []byte, fn func(k, v []byte)) {
	c := b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		fn(k, v)
	}
}

// errGone says that the Record was pruned in the meantime.
var errGone = errors.New("no such job")

// parse reads the document, if it is the one that was accepted. Its id may be
// another than the Record's: a schedule's firings share their file.
func parse(e entry) (executor.Job, error) {
	if executor.Digest(e.Text) != e.Digest {
		return executor.Job{}, errors.New("its text was damaged on the disk")
	}
	j, err := executor.Parse(e.Text)
	if err != nil {
		return executor.Job{}, fmt.Errorf("this version of the agent cannot read it: %w", err)
	}
	j.ID = e.ID
	return j, nil
}

func stateKey(key string) []byte { return append([]byte(key), 1) }

// keyOfState returns the Record's key, if k is the key of a state.
func keyOfState(k []byte) (string, bool) {
	key, ok := bytes.CutSuffix(k, []byte{1})
	return string(key), ok
}

func partPrefix(key string) []byte { return append([]byte(key), 0) }

func partKey(key string, step int, part ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(partPrefix(key), uint16(step)), part...)
}

func (e *entry) setPart(k, v []byte) {
	if len(k) != 3 {
		return
	}
	i := int(binary.BigEndian.Uint16(k))
	switch {
	case i >= len(e.Steps):
	case k[2] == 'o':
		e.Steps[i].Output = string(v)
	case k[2] == 'r':
		e.Steps[i].Result = bytes.Clone(v)
	}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func moment(sec int64) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}

// firing reports whether the id was made by the device for a schedule or an
// alert, and by which.
func firing(id string) (name string, ok bool) {
	name, _, ok = strings.Cut(id, "@")
	return name, ok
}

// countID is 1 for an id that counts among those that are known, and 0 for a firing.
func countID(id string) int {
	if _, ok := firing(id); ok {
		return 0
	}
	return 1
}
