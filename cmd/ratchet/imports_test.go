package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const internal = "github.com/ratchetd/ratchet/cmd/ratchet/internal/"

// mayImport is who of the tool's packages may import whom of them. Commands may
// import all; what is known never imports how it is shown.
var mayImport = map[string][]string{
	"broker":   nil,
	"demo":     {"broker", "fleet", "jobfile", "link"},
	"draft":    {"fleet", "jobfile", "signing"},
	"fleet":    {"link"},
	"jobfile":  nil,
	"link":     {"private"},
	"measure":  {"link"},
	"private":  nil,
	"rollout":  {"fleet", "link"},
	"screen":   nil,
	"serve":    {"draft", "fleet", "link", "rollout", "serve/guard", "serve/memory", "serve/watch"},
	"settings": {"private"},
	"show":     {"fleet", "screen"},
	"signing":  {"private", "screen"},
	"sim":      {"fleet", "link"},

	"serve/guard":   {"private"},
	"serve/memory":  {"link"},
	"serve/watch":   {"fleet", "link", "serve/memory"},
	"serve/webhook": {"link", "rollout"},
}

// keptBy is which of them, and none besides, may import what others made.
var keptBy = map[string][]string{
	"github.com/eclipse/paho.mqtt.golang": {"link"},
	"github.com/mochi-mqtt/server/v2":     {"broker"},
	"go.yaml.in/yaml/v3":                  {"jobfile"},
	"aead.dev/minisign":                   {"signing"},
	"modernc.org/sqlite":                  {"serve/memory"},
	"os/exec":                             {"demo", "settings"},
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	type listed struct {
		ImportPath string
		Imports    []string
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, inside := strings.CutPrefix(p.ImportPath, internal)
		if inside {
			seen++
		}
		for _, i := range p.Imports {
			if used, ours := strings.CutPrefix(i, internal); inside && ours && !slices.Contains(mayImport[name], used) {
				t.Errorf("%s imports %s", name, used)
			}
			if by, kept := keptBy[i]; kept && !slices.Contains(by, name) {
				t.Errorf("%s imports %s, which is only for %q", p.ImportPath, i, by)
			}
		}
	}
	if seen != len(mayImport) {
		t.Errorf("%d packages are below internal, and %d in the table", seen, len(mayImport))
	}
}
