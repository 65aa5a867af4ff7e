package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func TestTheBillOfTheSameProgramsIsTheSame(t *testing.T) {
	program, err := os.Executable() // a program like any other
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := write(&first, "1.2.4", []string{program, program}); err != nil {
		t.Fatal(err)
	}
	if err := write(&second, "1.2.4", []string{program}); err != nil || first.String() != second.String() {
		t.Errorf("the same program gave another text, %v", err)
	}
	var got bom
	if err := json.Unmarshal(first.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != "CycloneDX" || got.Metadata.Component.Version != "1.2.4" {
		t.Errorf("got %+v", got)
	}
	if !slices.ContainsFunc(got.Components, func(c component) bool { return c.Name == "go" && c.Version != "" }) {
		t.Errorf("got %+v, want Go among them", got.Components)
	}
	if err := write(&first, "1", []string{"main.go"}); err == nil {
		t.Error("a file that is no program was taken")
	}
}
