package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// A licence in SPDX's words, under which a module is, as a CycloneDX choice.
type licence struct {
	Expression string `json:"expression"`
}

// licensed reads the licence of a module from its sources.
func licensed(m *debug.Module) ([]licence, error) {
	out, err := exec.Command("go", "mod", "download", "-json", m.Path+"@"+m.Version).Output()
	if err != nil {
		return nil, fmt.Errorf("the sources of %s@%s: %w", m.Path, m.Version, err)
	}
	var at struct{ Dir string }
	if err := json.Unmarshal(out, &at); err != nil {
		return nil, err
	}
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"} {
		text, err := os.ReadFile(filepath.Join(at.Dir, name))
		if err != nil {
			continue
		}
		if found := expression(string(text)); found != "" {
			return []licence{{found}}, nil
		}
	}
	return nil, fmt.Errorf("no licence of %s@%s is known here: look into %s, and teach scripts/sbom its words", m.Path, m.Version, at.Dir)
}

// expression names the licences whose words are in a text.
func expression(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	var found []string
	switch {
	case has("Eclipse Public License - v 2.0") && has("Eclipse Distribution License"): // that is BSD's
		found = append(found, "(EPL-2.0 OR BSD-3-Clause)")
	case has("Redistribution and use in source and binary forms") && (has("Neither the name") || has("may be used to endorse")):
		found = append(found, "BSD-3-Clause")
	case has("Redistribution and use in source and binary forms"):
		found = append(found, "BSD-2-Clause")
	}
	if has("Permission is hereby granted, free of charge, to any person obtaining a copy") {
		found = append(found, "MIT")
	}
	if has("Apache License") && has("Version 2.0") {
		found = append(found, "Apache-2.0")
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.Join(found, " AND "), "("), ")")
}
