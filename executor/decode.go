package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a document is nested: each level costs stack, and
// the path in a possible error.
const maxDepth = 64

// Decode reads the one JSON value in data into v. It refuses what encoding/json
// lets pass: unknown fields, fields in another case, a field given twice,
// invalid UTF-8, deep nesting and anything after the value. A byte order mark
// before it is passed over. Errors name the field by its path.
func Decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	data = Unmarked(data)
	s := shape{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	s.dec.UseNumber()
	if err := s.check(reflect.TypeOf(v).Elem(), "", maxDepth); err != nil {
		return err
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more text after the JSON value")
	}
	return plainError(json.Unmarshal(data, v))
}

// Unmarked is text without the byte order mark that some editors put before it.
func Unmarked(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\uFEFF")) }

// A shape reads a document for its names alone.
type shape struct {
	data []byte
	dec  *json.Decoder
}

// check reads one value and checks its names against t; a nil t takes any
// names, but none twice.
func (s *shape) check(t reflect.Type, path string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%.64s: nested too deeply: at most %d levels are taken", path, maxDepth)
	}
	begin := s.dec.InputOffset()
	tok, err := s.dec.Token()
	if err != nil {
		return plainError(err)
	}
	if open, ok := tok.(json.Delim); ok {
		if open == '{' {
			err = s.object(t, path, depth)
		} else {
			err = s.list(t, path, depth)
		}
		if err == nil {
			_, err = s.dec.Token() // the closing delimiter
		}
	}
	if err != nil {
		return plainError(err)
	}
	return checkOwn(t, path, bytes.TrimLeft(s.data[begin:s.dec.InputOffset()], " \t\r\n:,"))
}

// checkOwn lets a type that decodes itself do so, for an error with a path.
func checkOwn(t reflect.Type, path string, value []byte) error {
	for t != nil && t.Kind() == reflect.Pointer && string(value) != "null" {
		t = t.Elem()
	}
	if t == nil || path == "" || !reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	if err := reflect.New(t).Interface().(json.Unmarshaler).UnmarshalJSON(value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s *shape) object(t reflect.Type, path string, depth int) error {
	fields, elem := shapeOf(t)
	seen := map[string]bool{}
	for s.dec.More() {
		tok, err := s.dec.Token()
		if err != nil {
			return err
		}
		name, _ := tok.(string)
		at := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			return fmt.Errorf("%s: given twice", at)
		}
		seen[name] = true
		next := elem
		if fields != nil {
			field, ok := fields[name]
			if !ok {
				return fmt.Errorf("%s: unknown field%s", at, DidYouMean(name, slices.Collect(maps.Keys(fields))))
			}
			next = field
		}
		if err := s.check(next, at, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) list(t reflect.Type, path string, depth int) error {
	_, elem := shapeOf(t)
	for i := 0; s.dec.More(); i++ {
		if err := s.check(elem, fmt.Sprintf("%s[%d]", path, i), depth-1); err != nil {
			return err
		}
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// shapeOf is the fields of a struct type, or the element type of a map or
// list. A type that decodes itself has neither.
func shapeOf(t reflect.Type) (fields map[string]reflect.Type, elem reflect.Type) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil, nil
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return nil, t.Elem()
	case reflect.Struct:
		fields = map[string]reflect.Type{}
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				fields[name] = f.Type
			}
		}
	}
	return fields, nil
}

// plainError rewords the errors of encoding/json for people.
func plainError(err error) error {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return fmt.Errorf("%s: want %s, got %s", ownNames(mismatch.Field), goName(mismatch.Type), mismatch.Value)
	case errors.As(err, &mismatch):
		return fmt.Errorf("want %s, got %s", goName(mismatch.Type), mismatch.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends too early")
	}
	return err
}

// ownNames takes the names of embedded types, which encoding/json puts into a
// path, out of it: fields of documents begin with a small letter.
func ownNames(path string) string {
	own := slices.DeleteFunc(strings.Split(path, "."), func(name string) bool { return name != "" && name[0] >= 'A' && name[0] <= 'Z' })
	return strings.Join(own, ".")
}

func goName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return goName(t.Elem())
	case reflect.Float64, reflect.Float32:
		return "a number"
	}
	return "a whole number"
}
