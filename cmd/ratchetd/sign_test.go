package main

import (
	"crypto/rand"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// makeKey gives the site a key to sign with; configurations name it ${KEY}.
func (s *site) makeKey() error {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	text, err := public.MarshalText()
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	s.key, s.vars["KEY"] = private, lines[len(lines)-1]
	return nil
}

// cmdSign puts a document into an envelope with its signature.
func cmdSign(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	text := s.fill([]byte(strings.TrimSpace(ts.ReadFile(args[0]))))
	e := dialect.Envelope{Job: string(text), Signature: string(minisign.Sign(s.key, text))}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), e.Payload(), 0o600))
}
