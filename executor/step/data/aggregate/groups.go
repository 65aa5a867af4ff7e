package aggregate

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/executor/jq"
)

// maxRoom is how many bytes all groups may take.
const maxRoom = 8 << 20

// Groups are what has come of the records so far. They are for one goroutine.
type Groups struct {
	// Missing counts the values that were not there, null or, in a table, empty;
	// NotNumbers those that were no number where one was wanted. Both were passed over.
	Missing, NotNumbers int64

	plan  plan
	texts bool
	room  room
	known map[string]*group
	other *group

	by  []any  // of the record at hand
	key []byte // the same, as one text
}

// A group is what has come of the records that have the same values at by, and lie in
// the same bucket.
type group struct {
	by     []any
	bucket bucket
	count  int64
	folds  []fold // as the plan's measures
}

// New returns groups without a record. Where texts is true a text that is a number
// counts as one, as in a CSV, which has nothing else.
func (s *Spec) New(texts bool) (*Groups, error) {
	p, err := s.plan()
	if err != nil {
		return nil, err
	}
	return &Groups{plan: p, texts: texts, room: room{maxRoom}, known: map[string]*group{}, by: make([]any, len(p.by))}, nil
}

// Paths are the parts of a record that Add looks at.
func (g *Groups) Paths() (paths []jq.Path) {
	for _, f := range g.plan.by {
		paths = append(paths, f.path)
	}
	for _, c := range g.plan.columns {
		paths = append(paths, c.path)
	}
	if g.plan.span > 0 {
		paths = append(paths, g.plan.time)
	}
	return paths
}

// Add takes one record, a value as the jq engine has it. After an error the groups are
// of no use.
func (g *Groups) Add(record any) error {
	own, err := g.of(record)
	if err != nil {
		return err
	}
	own.count++
	folds := own.folds
	for _, c := range g.plan.columns {
		if err := g.measure(c, folds[:len(c.kinds)], c.path.In(record)); err != nil {
			return err
		}
		folds = folds[len(c.kinds):]
	}
	return nil
}

// measure gives v to the folds of one column.
func (g *Groups) measure(c column, folds []fold, v any) error {
	if v == nil || g.texts && v == "" { // a table has no null
		g.Missing++
		return nil
	}
	n, isNumber := numbered(v)
	if text, isText := v.(string); isText && g.texts && c.numbers {
		if read, ok := jq.Number(text); ok {
			n, isNumber = numbered(read)
		}
	}
	if c.numbers && !isNumber {
		g.NotNumbers++
	}
	for i, f := range folds {
		var err error
		switch {
		case !c.kinds[i].numbers:
			err = f.add(value{any: v})
		case isNumber:
			err = f.add(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// of returns the group of a record.
func (g *Groups) of(record any) (*group, error) {
	at := g.bucketOf(record)
	g.key = g.key[:0]
	if at.known {
		g.key = binary.BigEndian.AppendUint64(g.key, uint64(at.begin))
	}
	for i, f := range g.plan.by {
		g.by[i] = f.path.In(record)
		if err := g.appendKey(g.by[i]); err != nil {
			return nil, err
		}
	}
	if own := g.known[string(g.key)]; own != nil {
		return own, nil
	}
	return g.begin(at)
}

func (g *Groups) bucketOf(record any) bucket {
	if g.plan.span == 0 {
		return bucket{}
	}
	millis, ok := moment(g.plan.time.In(record), g.texts)
	return bucket{begin(millis, g.plan.span), ok}
}

// appendKey makes the key longer by a value: no two lists of values have the same.
func (g *Groups) appendKey(v any) error {
	if text, ok := v.(string); ok {
		g.key = binary.AppendUvarint(append(g.key, '"'), uint64(len(text)))
		g.key = append(g.key, text...)
		return nil
	}
	text, err := jq.Text(v)
	g.key = append(append(g.key, text...), ',')
	return err
}

// begin makes the group of the record at hand.
func (g *Groups) begin(at bucket) (*group, error) {
	if len(g.known) >= g.plan.limit {
		if !g.plan.other {
			return nil, fmt.Errorf("more than %d groups: group by less, lengthen every.duration, raise groups (at most %d), or let the rest be one group with other: true", g.plan.limit, maxGroups)
		}
		if g.other == nil {
			g.other = g.empty()
		}
		return g.other, nil
	}
	own := g.empty()
	own.bucket = at
	size := 256 + 2*len(g.key) + 96*len(own.folds)
	for _, v := range g.by {
		own.by = append(own.by, kept(v))
		size += weight(v)
	}
	g.known[string(g.key)] = own
	return own, g.room.take(size)
}

func (g *Groups) empty() *group {
	own := &group{}
	for _, c := range g.plan.columns {
		for _, k := range c.kinds {
			own.folds = append(own.folds, k.start(&g.room))
		}
	}
	return own
}

// Lines gives out one line of JSON for each group, in the order of its values at by and
// then of time; the group of all others comes last. A line is good until emit returns.
func (g *Groups) Lines(emit func(line []byte) error) error {
	all := make([]*group, 0, len(g.known)+1)
	for _, own := range g.known {
		all = append(all, own)
	}
	slices.SortFunc(all, func(a, b *group) int {
		return cmp.Or(slices.CompareFunc(a.by, b.by, jq.Compare), a.bucket.compare(b.bucket))
	})
	if g.other != nil {
		all = append(all, g.other)
	}
	for _, own := range all {
		line, err := g.line(own)
		if err == nil {
			err = emit(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *Groups) line(own *group) ([]byte, error) {
	l := line{text: []byte{'{'}}
	if own == g.other {
		l.field(otherName, true)
	} else {
		for i, f := range g.plan.by {
			l.field(f.name, own.by[i])
		}
		if g.plan.span > 0 {
			l.field(timeName, own.bucket.value())
		}
	}
	for _, o := range g.plan.outputs {
		if o.fold < 0 {
			l.field(o.name, whole(own.count))
			continue
		}
		l.field(o.name, own.folds[o.fold].result(o.function))
	}
	return append(l.text, '}'), l.err
}

// A line is an object that is written field by field.
type line struct {
	text []byte
	err  error
}

func (l *line) field(name string, v any) {
	if len(l.text) > 1 {
		l.text = append(l.text, ',')
	}
	for i, part := range []any{name, v} {
		text, err := jq.Text(part)
		l.err = cmp.Or(l.err, err)
		l.text = append(l.text, text...)
		if i == 0 {
			l.text = append(l.text, ':')
		}
	}
}
