// Package certificate is the kind of step that renews the certificate with which
// the device proves who it is.
package certificate

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that renews the certificate with which this device
// proves who it is, in two steps that lie as far apart as the owner's authority
// needs: request makes a key and tells what is to be certified; install takes
// the certificate into use, on trial. The key never leaves the device.
//
// A request that is made again, by this job or another, is for the same key
// until that was installed. At every moment, wherever it is cut, there is a
// certificate with its key: while they are exchanged the key's file holds the
// old and the new one, and KeyPair takes the one that fits.
type Kind struct {
	Files     safefile.Files
	Cert, Key string // the files, which need not be there yet
	Pending   string // holds the key that waits for its certificate; empty: this is no device
	Device    string // the common name where a request says none

	// Now is the time, which is not below the floor, and whether the clock is
	// set. Nil is that of the system.
	Now func() (now time.Time, sane bool)
	// Renew makes the link use what lies there now. Nil does nothing.
	Renew func()

	Draw func() (*ecdsa.PrivateKey, error) // a new key; nil draws one by chance
}

type certificateWith struct {
	Request *requestWith `json:"request"`
	Install *installWith `json:"install"`
}

// certificateState is the undo data: of the pending key for a request; of the
// certificate and its key for an install.
type certificateState struct {
	Undo []safefile.Undo `json:"undo"`
}

func (k Kind) parse(with json.RawMessage) (w certificateWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	switch {
	case (w.Request == nil) == (w.Install == nil):
		return w, errors.New("want exactly one of request and install")
	case w.Request != nil:
		return w, w.Request.check()
	}
	return w, w.Install.read()
}

// Trial implements executor.Trialist.
func (k Kind) Trial(with json.RawMessage) *executor.Trial {
	if w, err := k.parse(with); err != nil || w.Install == nil {
		return nil
	}
	return &executor.Trial{}
}

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := k.parse(with)
	if err == nil && w.Install != nil && k.Pending != "" {
		_, err = k.fitting(w.Install)
	}
	return err
}

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	ctx, cancel := t.Limit(ctx, safefile.Timeout)
	defer cancel()
	w, err := k.parse(t.With)
	if err != nil {
		return err
	}
	if t.Dir == "" {
		return errors.New("keeping undo data: the task has no directory")
	}
	var s certificateState
	if _, err := t.Load(&s); err != nil {
		return err
	}
	if w.Request != nil {
		return k.request(t, &s, w.Request)
	}
	return k.install(ctx, t, &s, w.Install)
}

// keep makes the undo data of these files durable in one go.
func (k Kind) keep(t *executor.Task, s *certificateState, paths ...string) error {
	if len(s.Undo) > 0 {
		return nil
	}
	undos := make([]safefile.Undo, len(paths))
	for i, path := range paths {
		if err := undos[i].Keep(k.Files, kept(t, i), path, func() error { return nil }); err != nil {
			return err
		}
	}
	s.Undo = undos
	return t.Save(s)
}

// kept is where the old content of the i-th file lies.
func kept(t *executor.Task, i int) string { return filepath.Join(t.Dir, strconv.Itoa(i)) }

// Undo implements executor.Undoer.
func (k Kind) Undo(_ context.Context, t *executor.Task) error {
	var s certificateState
	if _, err := t.Load(&s); err != nil || len(s.Undo) == 0 {
		return err
	}
	if len(s.Undo) == 2 {
		if err := k.both(filepath.Join(kept(t, 1), "old"), s.Undo[1].Was.Path); err != nil {
			return err
		}
	}
	for i, u := range s.Undo {
		if err := u.Restore(k.Files, kept(t, i)); err != nil {
			return err
		}
	}
	if k.Renew != nil && len(s.Undo) == 2 {
		k.Renew()
	}
	return nil
}

func (k Kind) now() (now time.Time, sane bool) {
	if k.Now == nil {
		return time.Now(), true
	}
	return k.Now()
}

// requestWith is what a request may say of its subject.
type requestWith struct {
	CommonName         string   `json:"commonName"`
	Organization       string   `json:"organization"`
	OrganizationalUnit string   `json:"organizationalUnit"`
	Country            string   `json:"country"`
	DNSNames           []string `json:"dnsNames"`
}

var (
	subjectText = regexp.MustCompile(`^[^\x00-\x1f\x7f]{0,64}$`)
	dnsName     = regexp.MustCompile(`^[A-Za-z0-9_*-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,15}$`)
)

func (w requestWith) check() error {
	for field, text := range map[string]string{"commonName": w.CommonName, "organization": w.Organization, "organizationalUnit": w.OrganizationalUnit} {
		if !subjectText.MatchString(text) {
			return fmt.Errorf("request.%s: %q: want at most 64 characters on one line", field, text)
		}
	}
	if w.Country != "" && len(w.Country) != 2 {
		return fmt.Errorf("request.country: %q: want two letters", w.Country)
	}
	if len(w.DNSNames) > 16 || slices.ContainsFunc(w.DNSNames, func(n string) bool { return !dnsName.MatchString(n) }) {
		return fmt.Errorf("request.dnsNames: %q: want at most 16 names of hosts", w.DNSNames)
	}
	return nil
}
