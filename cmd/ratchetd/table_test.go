package main

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
)

func TestColumnsAreThoseOfTheLibrary(t *testing.T) {
	for _, text := range []string{
		"", "one\n", "a\tb\n", "a\tbb\tc\nlong name\tb\tthe rest of it\n",
		"\t[###  ]\t40 %\nalert\tß-hot\t85 °C\n", "device\t\tempty\nlink\ttcp://b\tconnected\n",
	} {
		var got, want strings.Builder
		c, lib := &table{w: &got}, tabwriter.NewWriter(&want, 0, 0, 2, ' ', 0)
		for _, w := range []interface{ Flush() error }{c, lib} {
			fmt.Fprint(w.(interface{ Write([]byte) (int, error) }), text)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != want.String() {
			t.Errorf("got %q, want %q", got.String(), want.String())
		}
	}
}
