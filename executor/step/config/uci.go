package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// uciValue is what a key of the parameter uci shall be: a string, a list, or
// null for gone. UCI itself takes an empty string for gone.
type uciValue struct {
	values []executor.Text
	list   bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *uciValue) UnmarshalJSON(data []byte) error {
	*v = uciValue{}
	var one executor.Text
	switch {
	case string(data) == "null":
		return nil
	case data[0] == '[':
		v.list = true
		return json.Unmarshal(data, &v.values)
	}
	err := one.UnmarshalJSON(data)
	if err == nil && (one.Open || one.S != "") {
		v.values = []executor.Text{one}
	}
	return err
}

func (v uciValue) gone() bool { return len(v.values) == 0 }

// check refuses what a UCI file cannot hold.
func (v uciValue) check() error {
	for _, text := range v.values {
		if i := strings.IndexFunc(text.S, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' }); i >= 0 {
			return fmt.Errorf("holds a control character, %q, which UCI cannot keep", text.S[i])
		}
		if v.list && text.S == "" && !text.Open {
			return errors.New("holds an empty string, which UCI cannot keep in a list")
		}
	}
	return nil
}

// uciKey is package.section or package.section.option. A section is a name or,
// for one without, @type[index].
type uciKey struct {
	pkg, section, option string
	index                int // -1 for a section with a name
}

var (
	uciKeyForm  = regexp.MustCompile(`^([A-Za-z0-9_-]{1,48})\.([A-Za-z0-9_]{1,64}|@[A-Za-z0-9_-]{1,64}\[(0|[1-9][0-9]{0,3})\])(?:\.([A-Za-z0-9_]{1,64}))?$`)
	uciTypeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func parseUCIKey(text string) (uciKey, error) {
	m := uciKeyForm.FindStringSubmatch(text)
	if m == nil {
		return uciKey{}, errors.New(`want package.section or package.section.option, where a section is a name or @type[index]`)
	}
	key := uciKey{pkg: m[1], section: m[2], option: m[4], index: -1}
	if m[3] != "" {
		key.index, _ = strconv.Atoi(m[3])
	}
	return key, nil
}

func (k uciKey) String() string {
	return strings.TrimSuffix(k.pkg+"."+k.section+"."+k.option, ".")
}

// uciEdit is one key with its value.
type uciEdit struct {
	uciKey
	uciValue
}

// uciEdits are those of one package, in the order in which they are made.
type uciEdits struct {
	pkg   string
	edits []uciEdit
}

// parseUCI sorts the parameter by package. Its errors begin with the key.
func parseUCI(settings map[string]uciValue) (list []uciEdits, err error) {
	byPackage := map[string][]uciEdit{}
	for _, text := range slices.Sorted(maps.Keys(settings)) {
		key, err := parseUCIKey(text)
		edit := uciEdit{key, settings[text]}
		if err == nil {
			err = edit.check(settings)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		byPackage[key.pkg] = append(byPackage[key.pkg], edit)
	}
	for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
		edits := byPackage[pkg]
		slices.SortStableFunc(edits, inTurn)
		list = append(list, uciEdits{pkg, edits})
	}
	return list, nil
}

// check checks an edit against the others.
func (e uciEdit) check(others map[string]uciValue) error {
	section := e.uciKey
	section.option = ""
	if parent, ok := others[section.String()]; ok && e.option != "" && parent.gone() {
		return fmt.Errorf("%s is deleted by the same step", section)
	}
	if e.option == "" && !e.gone() {
		if e.list || e.index >= 0 {
			return errors.New("the value of a section is its type, one string, and only a section with a name can be given one")
		}
		if type_ := e.values[0]; !type_.Open && !uciTypeForm.MatchString(type_.S) {
			return fmt.Errorf("%q: want the type of a section, of A-Z a-z 0-9 _ -", type_.S)
		}
	}
	return e.uciValue.check()
}

// inTurn orders edits so that every index means the section that it meant
// before the step: what is set comes first, a section before its options; what
// is deleted comes last, the highest index first.
func inTurn(a, b uciEdit) int {
	return cmp.Or(cmp.Compare(a.turn(), b.turn()), cmp.Compare(b.index, a.index)*a.turn())
}

func (e uciEdit) turn() int {
	switch {
	case !e.gone():
		return 0
	case e.option != "":
		return 1
	case e.index >= 0:
		return 2
	}
	return 3
}
