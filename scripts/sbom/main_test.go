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

// TestALicenceIsKnownByItsWords takes Go's own, and what modules have; one that
// is not known stops the release.
func TestALicenceIsKnownByItsWords(t *testing.T) {
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const bsd, mit = "Redistribution and use in\n source and binary forms, with or without", "Permission is hereby granted, free of charge, to any person obtaining a copy"
	for text, want := range map[string]string{
		string(own):                          "Apache-2.0",
		bsd:                                  "BSD-2-Clause",
		bsd + " Neither the name of X":       "BSD-3-Clause",
		mit:                                  "MIT",
		mit + " Apache License, Version 2.0": "MIT AND Apache-2.0",
		"Eclipse Public License - v 2.0 ... Eclipse Distribution License": "EPL-2.0 OR BSD-3-Clause",
		"All rights reserved": "",
	} {
		if got := expression(text); got != want {
			t.Errorf("got %q, want %q for %.60q", got, want, text)
		}
	}
}
