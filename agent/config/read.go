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

// read puts what text sets over what is there. forbidden are sections that
// this file may not have. Errors name the file and the line.
func (c *Config) read(file string, text []byte, forbidden ...string) error {
	var table map[string]toml.Primitive
	meta, err := toml.Decode(string(text), &table)
	if err != nil {
		return readable(file, err)
	}
	for _, name := range forbidden {
		if p, ok := table[name]; ok {
			delete(table, name)
			err = errors.Join(err, readable(file, refuse(&meta, p, "it may stand in ratchet.toml only")))
		}
	}
	into := reflect.ValueOf(c).Elem()
	for name, p := range table {
		if field, ok := fieldOf(into, name); ok && field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct {
			delete(table, name)
			err = errors.Join(err, list(file, text, &meta, name, p, field, c.leave))
		}
	}
	return errors.Join(err, fill(file, &meta, table, into))
}

// fill decodes each key of a table by itself, so that all errors are found and
// each has a line. The library matches names in any case; this does not.
func fill(file string, meta *toml.MetaData, table map[string]toml.Primitive, to reflect.Value) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(table)) {
		field, ok := fieldOf(to, name)
		var err error
		switch {
		case !ok:
			err = readable(file, refuse(meta, table[name], "unknown key"+executor.DidYouMean(name, keysOf(to))))
		case field.Kind() == reflect.Struct:
			err = section(file, meta, table[name], field)
		default:
			err = readable(file, meta.PrimitiveDecode(table[name], field.Addr().Interface()))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func section(file string, meta *toml.MetaData, p toml.Primitive, to reflect.Value) error {
	var table map[string]toml.Primitive
	err := meta.PrimitiveDecode(p, &table)
	if err == nil && table == nil { // the library overlooks what is no table
		err = refuse(meta, p, "want a section")
	}
	if err != nil {
		return readable(file, err)
	}
	return fill(file, meta, table, to)
}

// keysOf are the keys that a section knows.
func keysOf(v reflect.Value) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if tag, _, _ := strings.Cut(f.Tag.Get("toml"), ","); tag != "" && tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for _, f := range reflect.VisibleFields(v.Type()) {
		if tag, _, _ := strings.Cut(f.Tag.Get("toml"), ","); tag == name && tag != "" {
			return v.FieldByIndex(f.Index), true
		}
	}
	return reflect.Value{}, false
}

// A refusal is decoded into to get an error with a line, which the library
// tells in no other way.
type refusal struct{ why string }

// UnmarshalTOML takes nothing.
func (r *refusal) UnmarshalTOML(any) error { return errors.New(r.why) }

func refuse(meta *toml.MetaData, p toml.Primitive, why string) error {
	return meta.PrimitiveDecode(p, &refusal{why})
}

var (
	tomlError    = regexp.MustCompile(`(?s)^toml: line (\d+)(?: \(last key "(.*?)"\))?: (.*)$`)
	tomlMismatch = regexp.MustCompile(`incompatible types: TOML value has type (\S+); destination has type (\S+)$`)
	goNames      = strings.NewReplacer("int64", "integer", "float64", "number", "bool", "boolean", "slice", "list",
		"map[string]interface", "table", "map", "table", "[]interface {}", "list", "[]any", "list")
)

// readable puts the library's errors into words for people: file, line, key.
func readable(file string, err error) error {
	if err == nil {
		return nil
	}
	m := tomlError.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	why := m[3]
	if types := tomlMismatch.FindStringSubmatch(why); types != nil {
		why = fmt.Sprintf("want %s, got %s", goNames.Replace(types[2]), goNames.Replace(types[1]))
	}
	if m[2] != "" {
		why = m[2] + ": " + why
	}
	return fmt.Errorf("%s:%s: %s", file, m[1], why)
}
