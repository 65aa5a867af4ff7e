package conformance_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/certificate"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// unasked is a kind whose Check depends on files that are not there yet when
// the suite asks for it.
type unasked struct{ steptest.Late }

func (unasked) Check(with json.RawMessage) error { return certificate.Kind{}.Check(with) }

// certificateCases are what the suite cuts of the kind certificate.
func certificateCases(t *testing.T) []steptest.Case {
	var dir string
	ca := steptest.NewAuthority(t, "ca", nil)
	before, next := steptest.NewECKey(t), steptest.NewECKey(t)
	kind := func(f safefile.Files) executor.Kind {
		return unasked{steptest.Late{Kind: func() executor.Kind {
			k := steptest.OnDevice(dir)
			k.Draw = func() (*ecdsa.PrivateKey, error) { return next, nil } // so that its runs can be compared
			k.Files = f
			return k
		}}}
	}
	present := map[string]string{"link.pem": ca.Issue(before, -time.Hour, time.Hour), "link.key": steptest.KeyPEM(t, before)}
	waiting := map[string]string{"pending.key": steptest.KeyPEM(t, next), "link.pem": present["link.pem"], "link.key": present["link.key"]}
	with := func(with string) func(string) string {
		return func(d string) string {
			dir = d
			return with
		}
	}
	install := func(key *ecdsa.PrivateKey) func(string) string {
		text, _ := json.Marshal(map[string]any{"install": map[string]any{"certificate": ca.Issue(key, -time.Hour, time.Hour), "chain": ca.Pem}})
		return with(string(text))
	}
	return []steptest.Case{
		{Name: "certificate, request", Kind: kind, Setup: steptest.Place(present), With: with(`{"request":{}}`)},
		{Name: "certificate, same request", Kind: kind, Setup: steptest.Place(waiting), With: with(`{"request":{}}`)},
		{Name: "certificate, install", Kind: kind, Setup: steptest.Place(waiting), With: install(next)},
		{Name: "certificate, first install", Kind: kind, Setup: steptest.Place(map[string]string{"pending.key": waiting["pending.key"]}), With: install(next)},
	}
}
