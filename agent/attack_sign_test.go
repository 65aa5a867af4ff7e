package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

var attacksOnSignatures = []attack{
	{"a job that nobody signed", func(f *fort) string {
		got := f.send("j", f.good("j"))
		f.wantRuns()
		return got
	}},
	{"a signed job without its signature", func(f *fort) string {
		e := opened(f, signed(f.first, f.good("j")))
		e.Signature = ""
		got := f.send("j", mustJSON(f, map[string]any{"job": e.Job, "signature": ""}))
		f.wantRuns()
		return got
	}},
	{"each bit of an envelope, flipped", flipped},
	{"an envelope, cut at each byte", truncated},
	{"a signature of another key", func(f *fort) string {
		got := f.send("j", signed(f.other, f.good("j")))
		f.wantRuns()
		return got
	}},
	{"a signature of another key that names the owner's", func(f *fort) string {
		text := f.good("j")
		var s minisign.Signature
		must(f, s.UnmarshalText([]byte(signature(f.other, text, time.Now()))))
		s.KeyID = f.first.ID()
		forged, err := s.MarshalText()
		must(f, err)
		got := f.send("j", string(dialect.Envelope{Job: text, Signature: string(forged)}.Payload()))
		f.wantRuns()
		return got
	}},
	{"the signature of another job", func(f *fort) string {
		made := signature(f.first, f.good("other"), time.Now())
		got := f.send("j", string(dialect.Envelope{Job: f.good("j"), Signature: made}.Payload()))
		f.wantRuns()
		return got
	}},
	{"a hashed signature that is said to be a plain one", otherForm},
	{"the target of a signed job, changed", func(f *fort) string {
		e := opened(f, signed(f.first, f.good("j", "target", `.tags.site == "paris"`)))
		e.Job = strings.Replace(e.Job, "paris", "berlin", 1)
		got := f.send("j", string(e.Payload()))
		f.wantRuns()
		return got
	}},
	{"a share of the devices beyond the signed ceiling", func(f *fort) string {
		e := opened(f, signed(f.first, f.good("j", "rollout", map[string]any{"percent": 0})))
		e.Rollout = &executor.Rollout{Percent: 100}
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", string(e.Payload()))
		f.wantRuns()
		return "not for this device"
	}},
	{"two documents in one envelope", func(f *fort) string {
		bad, good := f.good("j", "description", "another"), f.good("j")
		e := opened(f, signed(f.first, good))
		var both [2]string
		for i, order := range [][2]string{{bad, good}, {good, bad}} {
			payload := fmt.Sprintf(`{"job":%s,"job":%s,"signature":%s}`, mustJSON(f, order[0]), mustJSON(f, order[1]), mustJSON(f, e.Signature))
			both[i] = f.send("j", payload)
		}
		f.wantRuns()
		return both[1]
	}},
	{"both of two keys sign, each alone is enough", func(f *fort) string {
		got := f.send("one", signed(f.first, f.good("one"))) + ", " + f.send("two", signed(f.next, f.good("two")))
		f.wantRuns("one", "two")
		return got
	}},
	{"a job without an end, signed", func(f *fort) string {
		got := f.send("j", signed(f.first, f.good("j", "expires", nil)))
		f.wantRuns()
		return got
	}},
	{"a job meant for nobody, signed", func(f *fort) string {
		got := f.send("j", signed(f.first, f.good("j", "audience", nil)))
		f.wantRuns()
		return got
	}},
	{"a document that is too long, signed", func(f *fort) string {
		got := f.send("j", signed(f.first, f.good("j", "description", strings.Repeat("x", executor.MaxDocument))))
		f.wantRuns()
		return firstWords(got, 4)
	}},
	{"a message that is too long for a packet", func(f *fort) string {
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", strings.Repeat("x", dialect.MaxPayload+65<<10))
		await(f.T, "an end of the connection for it", func() bool { return strings.Contains(f.Agent.link.Status().Err, "too long") })
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", "")
		f.wantRuns()
		return "not read: the connection ends, until somebody clears it"
	}},
}

func opened(f *fort, payload string) dialect.Envelope {
	e, err := dialect.OpenEnvelope([]byte(payload))
	must(f, err)
	return e
}

// must ends the attack over an error of what it needs.
func must(f *fort, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// mustJSON is v as JSON.
func mustJSON(f *fort, v any) string {
	text, err := json.Marshal(v)
	must(f, err)
	return string(text)
}

// firstWords are the first n words of a reason that is long.
func firstWords(s string, n int) string { return strings.Join(strings.Fields(s)[:n], " ") }

// flipped looks at every bit: what is outside the signed text and says nothing,
// such as the untrusted comment, may change.
func flipped(f *fort) string {
	text := f.good("j")
	payload := []byte(signed(f.first, text))
	same := 0
	for i := range payload {
		for bit := range 8 {
			payload[i] ^= 1 << bit
			r, err := f.judged("j", payload)
			payload[i] ^= 1 << bit
			switch {
			case err == nil && r.Digest != executor.Digest([]byte(text)):
				f.Fatalf("bit %d of byte %d: another document was taken", bit, i)
			case err == nil:
				same++
			}
		}
	}
	if comment := len("untrusted comment: signature"); same > 8*comment {
		f.Errorf("%d flips changed nothing: more than the untrusted comment has bits", same)
	}
	f.wantRuns()
	return "refused, but for the comment that nobody signs: the same job"
}

func truncated(f *fort) string {
	payload := []byte(signed(f.first, f.good("j")))
	for n := range payload {
		if _, err := f.judged("j", payload[:n]); err == nil {
			f.Fatalf("%d of %d bytes were taken", n, len(payload))
		}
	}
	f.wantRuns()
	return "refused"
}

func otherForm(f *fort) string {
	text := f.good("j")
	var s minisign.Signature
	must(f, s.UnmarshalText([]byte(signature(f.first, text, time.Now()))))
	s.Algorithm = minisign.EdDSA
	forged, err := s.MarshalText()
	must(f, err)
	got := f.send("j", string(dialect.Envelope{Job: text, Signature: string(forged)}.Payload()))
	f.wantRuns()
	return got
}
