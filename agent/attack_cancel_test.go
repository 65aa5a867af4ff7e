package agent

import (
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

var attacksByCancel = []attack{
	{"a cancel that has expired", func(f *fort) string {
		f.cancelWith(signed(f.first, f.cancelling("j", "expires", "2026-11-20T00:00:00Z")))
		return "refused; " + f.goesOn()
	}},
	{"an unsigned cancel", func(f *fort) string {
		f.cancelWith(`{"id":"j","cancel":true}`)
		return "refused; " + f.goesOn()
	}},
	{"a cancel of another key", func(f *fort) string {
		f.cancelWith(signed(f.other, f.cancelling("j")))
		return "refused; " + f.goesOn()
	}},
	{"the cancel of another job", func(f *fort) string {
		f.cancelWith(signed(f.first, f.cancelling("k")))
		return "refused; " + f.goesOn()
	}},
	{"a cancel without an end, signed", func(f *fort) string {
		return f.refusesCancel(signed(f.first, f.cancelling("j", "expires", nil)))
	}},
	{"the cancel of another device", func(f *fort) string {
		return f.refusesCancel(signed(f.first, f.cancelling("j", "audience", []string{"device/gw-2", "group/ovens"})))
	}},
	{"the cancel of an earlier job of the same id", func(f *fort) string {
		return f.refusesCancel(f.signedAt(f.cancelling("j"), -2*time.Hour))
	}},
	{"the same cancel, before the job comes", func(f *fort) string {
		f.b.retain("ratchet/v1/jobs/all/j", f.signedAt(f.cancelling("j"), -2*time.Hour))
		await(f.T, "the cancel to be taken", func() bool { return f.db.Cancelled("j") })
		got := f.send("j", signed(f.first, f.good("j")))
		f.b.retain("ratchet/v1/jobs/group/routers/j", f.signedAt(f.cancelling("j"), -2*time.Hour))
		f.wantRuns("j")
		return got
	}},
}

// cancelWith has the device wait with the job j, sends a cancel and returns when
// it is decided.
func (f *fort) cancelWith(payload string) {
	f.Helper()
	f.inhibit()
	f.b.retain("ratchet/v1/jobs/device/gw-1/j", signed(f.first, f.good("j")))
	f.b.await(jobsTopic+"j", func(p string) bool { return statusOf(p).State == executor.Waiting })
	f.b.retain("ratchet/v1/jobs/all/j", payload)
	f.b.retain("ratchet/v1/jobs/device/gw-1/behind", `{"id":"behind","steps":[]}`) // is refused at once, when its turn comes
	f.b.final("behind")
}

// goesOn lets the job j go on, and tells how it ended.
func (f *fort) goesOn() string {
	f.Helper()
	f.remove("state/inhibit/app")
	return f.end("j")
}

// refusesCancel brings the cancel of a job that waits, and tells why
// it is refused.
func (f *fort) refusesCancel(payload string) string {
	f.Helper()
	f.cancelWith(payload)
	why := local.Call(f.Context(), local.Path(f.config.Load().State), local.Request{Do: "cancel", ID: "j", Text: payload}, nil)
	if why == nil {
		f.Error("by the socket it was taken")
		return ""
	}
	words, _, _ := strings.Cut(why.Error(), " (it was signed at") // what follows are times
	return "refused: " + words + "; " + f.goesOn()
}
