package main

import (
	"crypto/rand"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// makeKeys gives the site keys to sign with; configurations and documents name
// them ${KEY} and ${KEY2}.
func (s *site) makeKeys() error {
	s.keys = map[string]minisign.PrivateKey{}
	for _, name := range []string{"KEY", "KEY2"} {
		public, private, err := minisign.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		s.keys[name], s.vars[name] = private, public.String()
	}
	return nil
}

// cmdSign puts a document into an envelope with its signature, by KEY unless it
// says otherwise.
func cmdSign(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	text := s.fill([]byte(strings.TrimSpace(ts.ReadFile(args[0]))))
	key := s.keys["KEY"]
	if len(args) > 2 {
		key = s.keys[args[2]]
	}
	e := dialect.Envelope{Job: string(text), Signature: string(minisign.Sign(key, text))}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), e.Payload(), 0o600))
}
