// Command sbom writes what Go programs are made of, as CycloneDX: the modules
// that Go has noted in them, each with its version, its checksum and its
// licence, and Go itself. The same programs give the same text.
package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
)

// bom is the part of CycloneDX 1.5 that is used here.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Licenses   []licence  `json:"licenses"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION PROGRAM...")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(w io.Writer, version string, programs []string) error {
	parts := map[string]component{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return fmt.Errorf("reading what Go noted in a program: %w", err)
		}
		std := component{Type: "platform", Name: "go", Version: info.GoVersion, Licenses: []licence{{"BSD-3-Clause"}}, PURL: "pkg:generic/golang@" + info.GoVersion}
		parts[std.PURL] = std
		for _, m := range info.Deps {
			c, err := module(m)
			if err != nil {
				return err
			}
			parts[c.PURL] = c
		}
	}
	list := slices.SortedFunc(maps.Values(parts), func(a, b component) int { return cmp.Compare(a.PURL, b.PURL) })
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(bom{Format: "CycloneDX", Spec: "1.5", Version: 1, Components: list,
		Metadata: metadata{component{Type: "application", Name: "ratchet", Version: version, Licenses: []licence{{"Apache-2.0"}}}}})
}

// module is what is really linked: a replacement, where there is one.
func module(m *debug.Module) (component, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	licences, err := licensed(m)
	return component{Type: "library", Name: m.Path, Version: m.Version, Licenses: licences, PURL: "pkg:golang/" + m.Path + "@" + m.Version,
		Properties: []property{{"go:sum", m.Sum}}}, err
}
