package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/ratchetd/ratchet/executor"
)

// list reads what stands in the file as [[name]], each time with other keys, and
// adds it to those of earlier files; its type has a field At. One that is wrong is given
// to leave. The library tells the line of the last one only, so lines are looked for here.
func list(file string, text []byte, meta *toml.MetaData, name string, p toml.Primitive, to reflect.Value, leave func(file string, err error)) error {
	var tables []map[string]toml.Primitive
	if err := meta.PrimitiveDecode(p, &tables); err != nil {
		return readable(file, err)
	}
	places := placesOf(text, name)
	for i, table := range tables {
		at := places.of(i)
		var errs []error
		one := reflect.New(to.Type().Elem())
		for _, key := range slices.Sorted(maps.Keys(table)) {
			field, ok := fieldOf(one.Elem(), key)
			if !ok {
				errs = append(errs, fmt.Errorf("%s:%d: %s.%s: unknown key%s", file, at.line(key), name, key, executor.DidYouMean(key, keysOf(one.Elem()))))
			} else if err := meta.PrimitiveDecode(table[key], field.Addr().Interface()); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %s", file, at.line(key), unplaced(file, err)))
			}
		}
		one.Elem().FieldByName("At").Set(reflect.ValueOf(place{file, at}))
		if err := errors.Join(errs...); err != nil {
			leave(file, err)
			continue
		}
		to.Set(reflect.Append(to, one.Elem()))
	}
	return nil
}

// A place is where a part of the configuration stands.
type place struct {
	file  string
	lines lines
}

// Wrong says what is wrong with a key there.
func (p place) Wrong(key string, err error) error {
	if err == nil {
		return nil
	}
	if p.file == "" {
		return fmt.Errorf("%s: %w", key, err)
	}
	return fmt.Errorf("%s:%d: %s: %w", p.file, p.lines.line(key[strings.LastIndex(key, ".")+1:]), key, err)
}

// lines are those of the keys of one table; its own is that of "".
type lines map[string]int

func (l lines) line(key string) int {
	if n, ok := l[key]; ok {
		return n
	}
	return l[""]
}

type tableLines []lines

func (t tableLines) of(i int) lines {
	if i < len(t) {
		return t[i]
	}
	return lines{}
}

var (
	tomlHeader = regexp.MustCompile(`^\s*\[\[?\s*"?([^\]"]*?)"?\s*\]\]?\s*(#.*)?$`)
	tomlKey    = regexp.MustCompile(`^\s*"?([A-Za-z0-9_-]+)"?\s*=`)
)

// placesOf finds the tables of that name, and their keys.
func placesOf(text []byte, name string) tableLines {
	var all tableLines
	inside, n := false, 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\uFEFF")) { // the library passes over the mark, too
		n++
		if m := tomlHeader.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			if inside = m[1] == name; inside {
				all = append(all, lines{"": n})
			}
		} else if m := tomlKey.FindStringSubmatch(line); m != nil && inside {
			all[len(all)-1][m[1]] = n
		}
	}
	return all
}

// unplaced is the error in words for people, without the library's line.
func unplaced(file string, err error) string {
	_, words, _ := strings.Cut(strings.TrimPrefix(readable(file, err).Error(), file+":"), ": ")
	return words
}
