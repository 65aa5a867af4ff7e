package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Decode reads the one JSON value in data into v. It refuses what encoding/json
// lets pass: unknown fields, fields in another case, a field given twice,
// invalid UTF-8 and anything behind the value. Errors name the field by its path.
func Decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkShape(dec, reflect.TypeOf(v).Elem(), ""); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more text behind the JSON value")
	}
	return plainError(json.Unmarshal(data, v))
}

// checkShape reads one value from dec and holds its names against t; a nil t
// takes any names, but none twice.
func checkShape(dec *json.Decoder, t reflect.Type, path string) error {
	tok, err := dec.Token()
	if err != nil {
		return plainError(err)
	}
	switch tok {
	case json.Delim('{'):
		err = checkObject(dec, t, path)
	case json.Delim('['):
		err = checkArray(dec, t, path)
	default:
		return nil
	}
	if err == nil {
		_, err = dec.Token() // the closing delimiter
	}
	return plainError(err)
}

func checkObject(dec *json.Decoder, t reflect.Type, path string) error {
	fields, elem := shapeOf(t)
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
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
				return fmt.Errorf("%s: unknown field", at)
			}
			next = field
		}
		if err := checkShape(dec, next, at); err != nil {
			return err
		}
	}
	return nil
}

func checkArray(dec *json.Decoder, t reflect.Type, path string) error {
	_, elem := shapeOf(t)
	for i := 0; dec.More(); i++ {
		if err := checkShape(dec, elem, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// shapeOf tells the fields of a struct type, or the element type of a map or
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

// plainError puts encoding/json's errors into words for people.
func plainError(err error) error {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return fmt.Errorf("%s: want %s, got %s", mismatch.Field, goName(mismatch.Type), mismatch.Value)
	case errors.As(err, &mismatch):
		return fmt.Errorf("want %s, got %s", goName(mismatch.Type), mismatch.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends too early")
	}
	return err
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
	}
	return "a number"
}
