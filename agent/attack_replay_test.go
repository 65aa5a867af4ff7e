package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/store"
)

var attacksByReplay = []attack{
	{"a job, sent again", func(f *fort) string {
		payload := signed(f.first, f.good("j"))
		got := f.send("j", payload)
		f.b.retain("ratchet/v1/jobs/all/j", payload)
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", payload)
		f.wantRuns("j")
		return got + ", once"
	}},
	{"a job, sent again after a restart", func(f *fort) string {
		payload := signed(f.first, f.good("j"))
		got := f.send("j", payload)
		f.stop()
		f.b.forget()
		f.start().online(f.b)
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", payload)
		f.wantRuns("j")
		return got + ", once"
	}},
	{"a job, sent again after its history was pruned", func(f *fort) string {
		payload := signed(f.first, f.good("j"))
		got := f.send("j", payload)
		await(f.T, "the job to be told", func() bool {
			untold, err := f.db.Untold()
			return err == nil && len(untold) == 0
		})
		f.send("k", signed(f.first, f.good("k"))) // one that is kept whole
		gone, err := f.db.Prune(f.clock.Now().AddDate(1, 0, 0), store.History{Count: 1, Bytes: 1, Seen: map[string]bool{}})
		if r, _, _ := f.db.Record("j"); err != nil || len(gone) > 0 || len(r.Steps) > 0 {
			f.Errorf("pruned to %+v, forgot %q: %v", r, gone, err)
		}
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", payload)
		f.wantRuns("j", "k")
		return got + ", once"
	}},
	{"a job that is meant for another device", func(f *fort) string {
		got := f.send("j", signed(f.first, f.good("j", "audience", []string{"device/gw-2", "group/ovens"})))
		f.wantRuns()
		return got
	}},
	{"a job, under another id", func(f *fort) string {
		got := f.send("k", signed(f.first, f.good("j")))
		f.wantRuns()
		return got
	}},
	{"a job that expired a second ago", func(f *fort) string {
		late := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
		got := f.send("j", signed(f.first, f.good("j", "expires", late)))
		f.wantRuns()
		return strings.Replace(got, late, "TIME", 1)
	}},
}

var attacksOnIDs = []attack{
	{"another document under an id that is in use", func(f *fort) string {
		f.send("j", signed(f.first, f.good("j")))
		f.b.retain("ratchet/v1/jobs/device/gw-1/j", signed(f.first, f.good("j", "description", "another")))
		f.b.await("ratchet/v1/device/gw-1/alerts/id-reused", func(p string) bool { return strings.Contains(p, "raised") })
		f.wantRuns("j")
		return "refused, and the alert id-reused"
	}},
	{"an unsigned document that takes an id beforehand", func(f *fort) string {
		first := f.send("j", f.good("j", "description", "squatting"))
		f.b.forget()
		got := f.send("j", signed(f.first, f.good("j")))
		f.wantRuns("j")
		return first[:strings.Index(first, ":")] + "; the owner's job: " + got
	}},
	{"an unsigned cancel that takes an id beforehand", func(f *fort) string {
		f.b.retain("ratchet/v1/jobs/all/j", `{"id":"j","cancel":true}`)
		got := f.send("j", signed(f.first, f.good("j")))
		f.wantRuns("j")
		return "refused; the owner's job: " + got
	}},
	{"an unsigned job and cancel by the local socket", func(f *fort) string {
		ask := func(r local.Request) error { return local.Call(f.Context(), local.Path(f.config.Load().State), r, nil) }
		submit, cancel := ask(local.Request{Do: "submit", Text: f.good("j")}), ask(local.Request{Do: "cancel", ID: "j"})
		if submit == nil || cancel == nil {
			f.Errorf("got %v and %v", submit, cancel)
		}
		f.wantRuns()
		return fmt.Sprintf("refused: %v", submit)
	}},
	{"a key set with a sequence that was used", keySetRollback},
}

// keySetRollback tries to bring back a key that was revoked, with the job that
// once set it.
func keySetRollback(f *fort) string {
	now, then := signer{f.T, "", f.first}, newSigner(f.T)
	again := now.sign(keysDoc("again", 1, "1s", then))
	f.b.offerSigned(now, keysDoc("rotate", 1, "1s", then))
	f.b.final("rotate")
	got := f.send("again", again)
	f.wantRuns()
	return got
}
