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

const module = "github.com/ratchetd/ratchet/"

// mayImport is who of us may import whom of us; what is not here imports none.
var mayImport = map[string][]string{
	"cmd/ratchetd":   {"agent", "agent/audit", "agent/build", "agent/config", "agent/dialect", "agent/enroll", "agent/local", "executor", "executor/step/process", "telemetry", "telemetry/look", "telemetry/resolver"},
	"agent":          {"agent/alert", "agent/build", "agent/clock", "agent/config", "agent/dialect", "agent/facts", "agent/health", "agent/intake", "agent/link", "agent/local", "agent/report", "agent/rule", "agent/schedule", "agent/watchdog", "executor", "executor/step", "executor/step/certificate", "executor/step/check", "executor/step/config", "executor/step/data", "executor/step/diagnostic", "executor/step/fetch", "executor/step/firmware", "executor/step/packages", "executor/step/policy", "executor/step/process", "executor/step/safefile", "executor/step/update", "executor/step/upload", "store", "telemetry", "updater"},
	"agent/alert":    {"agent/clock", "agent/config", "agent/dialect", "agent/intake", "agent/report", "agent/rule", "executor", "executor/jq", "store", "telemetry"},
	"agent/audit":    {"agent/config", "executor/step", "executor/step/policy", "executor/step/process", "executor/step/safefile"},
	"agent/clock":    {"agent/build", "executor", "telemetry"},
	"agent/config":   {"agent/clock", "agent/dialect", "agent/dialect/aws", "agent/dialect/azure", "agent/dialect/plain", "agent/rule", "executor", "executor/redact", "executor/step", "executor/step/certificate", "executor/step/update", "executor/step/policy", "executor/step/process", "executor/step/safefile", "store", "telemetry"},
	"agent/enroll":   {"agent/config", "agent/dialect", "agent/dialect/azure", "agent/link", "agent/local", "executor/step/certificate", "executor/step/safefile", "telemetry"},
	"agent/facts":    {"agent/build", "agent/config", "executor", "executor/jq", "telemetry"},
	"agent/health":   {"agent/clock", "agent/config", "agent/dialect", "agent/link", "store", "telemetry"},
	"agent/intake":   {"agent/clock", "agent/config", "agent/dialect", "agent/facts", "agent/link", "agent/report", "executor", "executor/backoff", "executor/fence", "executor/jq", "executor/step/check", "executor/step/fetch", "store"},
	"agent/link":     {"agent/build", "agent/clock", "agent/config", "agent/dialect", "agent/link/packet", "agent/link/websocket", "executor", "executor/backoff", "executor/fence", "store"},
	"agent/local":    {"agent/clock", "agent/dialect", "executor", "executor/fence", "telemetry"},
	"agent/report":   {"agent/config", "agent/dialect", "agent/link", "agent/watchdog", "executor", "executor/backoff", "store"},
	"agent/rule":     {"executor/jq", "telemetry"},
	"agent/schedule": {"agent/clock", "agent/config", "agent/dialect", "agent/intake", "agent/report", "executor", "store"},

	"agent/dialect":       {"executor", "telemetry"},
	"agent/dialect/plain": {"agent/dialect", "executor"},
	"agent/dialect/aws":   {"agent/dialect", "executor", "telemetry"},
	"agent/dialect/azure": {"agent/dialect", "executor"},

	"store": {"executor", "executor/redact", "executor/step/safefile"},

	"executor/jq": {"executor/redact"},
	"executor":    {"executor/backoff", "executor/fence", "executor/jq", "executor/redact"},

	"telemetry": {"telemetry/look", "telemetry/resolver"},

	// what kinds share
	"executor/step/safefile": {"telemetry/look"}, // no operation waits for a disk that is gone
	"executor/step/process":  {"executor", "executor/redact", "executor/step/safefile"},
	"executor/step/policy":   {"executor/step/process", "executor/step/safefile", "telemetry/look"},
	"executor/step/fetch":    {"executor", "executor/backoff", "executor/redact", "executor/step/policy", "executor/step/safefile", "updater"},
	"executor/step/inputs":   {"executor/step/policy", "executor/step/safefile", "telemetry/look"},
	"executor/step/filespec": {"executor", "executor/step/policy", "executor/step/safefile"},
	"executor/step/check":    {"executor", "executor/fence", "executor/redact", "executor/step/policy", "executor/step/process", "executor/step/safefile", "telemetry"},

	// the kinds; the small ones are one package
	"executor/step":                {"executor", "executor/step/fetch", "executor/step/filespec", "executor/step/policy", "executor/step/process", "executor/step/safefile", "updater"},
	"executor/step/certificate":    {"executor", "executor/step/safefile"},
	"executor/step/config":         {"executor", "executor/step/filespec", "executor/step/policy", "executor/step/process", "executor/step/safefile"},
	"executor/step/data":           {"executor", "executor/jq", "executor/redact", "executor/step/data/aggregate", "executor/step/inputs", "executor/step/policy", "executor/step/process", "executor/step/safefile"},
	"executor/step/data/aggregate": {"executor", "executor/jq"},
	"executor/step/diagnostic":     {"executor", "executor/redact", "executor/step/check", "executor/step/inputs", "executor/step/policy", "executor/step/process", "executor/step/safefile"},
	"executor/step/firmware":       {"executor", "executor/backoff", "executor/fence", "executor/redact", "executor/step/fetch", "executor/step/policy", "executor/step/process", "executor/step/safefile", "updater"},
	"executor/step/packages":       {"executor", "executor/redact", "executor/step/process", "executor/step/safefile"},
	"executor/step/update":         {"executor", "executor/step/fetch", "executor/step/packages", "executor/step/policy", "executor/step/process", "executor/step/safefile", "updater"},
	"executor/step/upload":         {"executor", "executor/backoff", "executor/redact", "executor/step/fetch", "executor/step/inputs", "executor/step/policy", "executor/step/safefile"},
}

// keptBy is which of us, and nobody else, may import what others made; and who
// may start programs.
var keptBy = map[string][]string{
	"go.etcd.io/bbolt":                    {"store"},
	"github.com/eclipse/paho.mqtt.golang": {"agent/link"},
	"github.com/robfig/cron":              {"agent/clock"},
	"github.com/shirou/gopsutil":          {"telemetry"},
	"github.com/minio/selfupdate":         {"updater"},
	"github.com/itchyny/gojq":             {"executor/jq"},
	"os/exec":                             {"executor/step/process", "updater", "telemetry", "telemetry/look"},
}

// unwanted is what a daemon on a router must not carry about: a broker, tests,
// and what costs more flash than it earns.
var unwanted = []string{
	"testing", "net/http/httptest", "github.com/mochi-mqtt", "github.com/rogpeppe/go-internal",
	"gopkg.in/yaml", "go.yaml.in/yaml", "github.com/spf13", "time/tzdata", "github.com/godbus", "github.com/fxamacker/cbor",
	"modernc.org/sqlite",
}

type linked struct {
	ImportPath string
	Imports    []string
}

// linkedPackages are all that are in ratchetd.
func linkedPackages(t *testing.T) []linked {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []linked
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p linked
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	ours := 0
	for _, p := range linkedPackages(t) {
		name, own := strings.CutPrefix(p.ImportPath, module)
		if !own {
			continue
		}
		ours++
		for _, i := range p.Imports {
			if used, own := strings.CutPrefix(i, module); own && !slices.Contains(mayImport[name], used) {
				t.Errorf("%s imports %s", name, used)
			}
			for kept, by := range keptBy {
				if within(i, kept) && !slices.Contains(by, name) {
					t.Errorf("%s imports %s, which is only for %s", name, i, strings.Join(by, ", "))
				}
			}
		}
	}
	if ours <= len(mayImport) {
		t.Errorf("only %d packages of ours were found", ours)
	}
}

func TestRatchetdCarriesNothingUnwanted(t *testing.T) {
	for _, p := range linkedPackages(t) {
		for _, u := range unwanted {
			if within(p.ImportPath, u) {
				t.Errorf("ratchetd links %s", p.ImportPath)
			}
		}
	}
}

// within reports whether a package is of that path, or below it, or another
// version of it.
func within(pkg, path string) bool {
	return pkg == path || strings.HasPrefix(pkg, path+"/") || strings.HasPrefix(pkg, path+".v")
}
