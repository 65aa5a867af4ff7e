package config

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/process"
)

// uciScratch stands before the name of a package while it is edited. Under its
// own name uci would mix in what somebody has changed and not yet committed,
// and the overlays of newer versions.
const uciScratch = "ratchet_"

func (k Kind) uciFile(pkg string) string {
	return filepath.Join(cmp.Or(k.UCIDir, "/etc/config"), pkg)
}

// uciCopy is a copy of one package, to be edited by the program uci.
type uciCopy struct {
	*configuring
	dir  string
	name string
}

// edit returns the text of a package with the edits made to old, which it
// returns itself when they change nothing; nil for a package that is absent.
func (c *configuring) edit(ctx context.Context, e uciEdits, old []byte) (text []byte, err error) {
	dir, err := c.scratch("uci")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	u := uciCopy{c, dir, uciScratch + e.pkg}
	if err := os.WriteFile(filepath.Join(dir, u.name), old, 0o600); err != nil {
		return nil, err
	}
	before, err := u.export(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	for _, edit := range e.edits {
		if err := u.make(ctx, edit); err != nil {
			return nil, fmt.Errorf("%s: %w", edit.uciKey, err)
		}
	}
	after, err := u.export(ctx)
	if err != nil {
		return nil, err
	}
	if after == before {
		return old, nil
	}
	return []byte(after), nil
}

// export returns the package in the form in which uci commits it.
func (u uciCopy) export(ctx context.Context) (string, error) {
	text, err := u.run(ctx, "", "export", u.name)
	if err != nil {
		return "", err
	}
	// An option that an old uci does not know makes it show its usage and end
	// with 0.
	text, ok := strings.CutPrefix(text, "package "+u.name+"\n")
	if !ok {
		return "", errors.New("the program uci exports no package: is it OpenWrt's?")
	}
	return text, nil
}

// make makes one edit.
func (u uciCopy) make(ctx context.Context, e uciEdit) error {
	key := e.uciKey
	key.pkg = u.name
	if e.gone() {
		if _, err := u.run(ctx, "", "get", key.String()); err != nil {
			return context.Cause(ctx) // it is gone
		}
	}
	// The batch goes through stdin, where nobody sees a secret. It ends with 0
	// whatever its commands come to.
	if _, err := u.run(ctx, e.batch(key.String()), "batch"); err != nil {
		return fmt.Errorf("%w; does its section exist? A step makes one by giving it a type: \"%s.%s\": TYPE", err, e.pkg, e.section)
	}
	return nil
}

// batch is the edit in uci's own words. A list is filled where it stands: set
// again it would move to the end of its section.
func (e uciEdit) batch(key string) string {
	if e.gone() {
		return "delete " + key + "\n"
	}
	first := e.values[0].S
	if !e.list {
		return "set " + key + "=" + uciQuote(first) + "\n"
	}
	spare := "ratchet"
	for slices.ContainsFunc(e.texts(), func(s string) bool { return s == spare }) {
		spare += "_"
	}
	text := "set " + key + "=" + spare + "\n"
	for _, value := range e.texts() {
		text += "add_list " + key + "=" + uciQuote(value) + "\n"
	}
	// Deleted from a plain string it would stay: add_list has made it a list.
	return text + "del_list " + key + "=" + spare + "\n"
}

func (v uciValue) texts() (list []string) {
	for _, value := range v.values {
		list = append(list, value.S)
	}
	return list
}

func uciQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// run runs uci on the copy. With -P nothing is committed, not even by accident.
func (u uciCopy) run(ctx context.Context, stdin string, args ...string) (string, error) {
	argv := append([]string{cmp.Or(u.UCI, "uci"), "-c", u.dir, "-P", filepath.Join(u.dir, ".changes")}, args...)
	var out bytes.Buffer
	said := &process.Tail{Most: 512}
	p := process.Tool{Argv: argv, Stdin: stdin, Stdout: &out}
	status, err := p.Status(ctx, u.t, u.Groups, said)
	if err == nil {
		err = process.Judge(status, []int{0})
	}
	if err == nil && len(said.Last()) > 0 {
		err = errors.New("refused")
	}
	return out.String(), p.Named(err, said)
}
