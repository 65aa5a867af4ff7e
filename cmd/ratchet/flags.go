package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/pflag"
)

// signFlags say with which key what is sent is signed, and whether it is sent.
type signFlags struct {
	file  string
	print bool
}

func (g *signFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&g.file, "sign", signFile(), "sign it with the secret key in `file` (RATCHET_SIGN)")
	f.BoolVar(&g.print, "print", false, "print what would be sent, and send nothing: no broker is needed")
}

func signFile() string { return os.Getenv("RATCHET_SIGN") }

// open gets the key ready; it is nil where none is named.
func (g *signFlags) open() (*signing.Key, error) {
	if g.file == "" {
		return nil, nil
	}
	return signing.Open(g.file)
}

// span is a time on the command line that is not below least.
type span struct {
	to    *time.Duration
	least time.Duration
}

// spanVar adds a flag for one.
func spanVar(f *pflag.FlagSet, to *time.Duration, name string, value, least time.Duration, usage string) {
	*to = value
	f.Var(span{to, least}, name, usage)
}

func (v span) Type() string { return "duration" }

func (v span) String() string {
	if v.to == nil || *v.to == 0 {
		return "0"
	}
	return v.to.String()
}

func (v span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < v.least {
		return fmt.Errorf("want a time from %v, such as 90s or 1h30m", v.least)
	}
	*v.to = d
	return nil
}

func validTo(to string) bool {
	scope, name, _ := strings.Cut(to, "/")
	return to == "all" || (scope == "device" || scope == "group") && executor.ValidDevice(name)
}

// checkTo says what is wrong with those for whom something is meant.
func checkTo(to []string) error {
	for _, t := range to {
		if !validTo(t) {
			return fmt.Errorf("--to %q: want device/ID, group/NAME or all", t)
		}
	}
	return nil
}
