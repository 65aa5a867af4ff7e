package agent

import (
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

var attacksByTime = []attack{
	{"a job that had expired, after the clock was set back", clockSetBack},
	{"the same, after a restart", func(f *fort) string {
		f.send("now", f.signedAt(f.good("now"), 20*time.Hour))
		f.wantRuns("now") // with its commits the floor is saved
		f.stop()
		f.b.forget()
		f.start().online(f.b)
		return f.halfDayOld()
	}},
	{"a job signed in the year 2100", farFuture},
}

// clockSetBack lets the device hear of a time, which it believes more than its
// clock: to it that clock has been set back then.
func clockSetBack(f *fort) string {
	f.send("now", f.signedAt(f.good("now"), 20*time.Hour))
	return f.halfDayOld()
}

// signedAt is the payload of a text that the owner signed, so far ahead of now.
func (f *fort) signedAt(text string, ahead time.Duration) string {
	return string(dialect.Envelope{Job: text, Signature: signature(f.first, text, time.Now().Add(ahead))}.Payload())
}

// halfDayOld sends what expires in ten hours, when it is twenty hours later.
func (f *fort) halfDayOld() string {
	end := time.Now().Add(10 * time.Hour).UTC().Format(time.RFC3339)
	got := f.send("j", signed(f.first, f.good("j", "expires", end)))
	f.wantRuns("now")
	return strings.Replace(got, end, "TIME", 1)
}

// farFuture has somebody sign with a computer whose clock is far ahead, for a
// device that has only signatures to tell the time by. What comes in the next
// week is taken all the same, also after a restart, and however often a broker
// brings the others.
func farFuture(f *fort) string {
	f.stop()
	f.b.forget()
	f.synchronised = func() bool { return false }
	f.start().online(f.b)
	ahead := time.Until(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	got := f.send("far", f.signedAt(f.good("far", "expires", "2100-02-01T00:00:00Z"), ahead))
	elsewhere := f.signedAt(f.good("elsewhere", "expires", "2100-02-01T00:00:00Z", "audience", []string{"device/gw-2"}), ahead)
	week := func(id string) {
		end := time.Now().Add(7 * 24 * time.Hour).UTC().Format(time.RFC3339)
		if got := f.send(id, signed(f.first, f.good(id, "expires", end))); got != "succeeded" {
			f.Errorf("an ordinary job: got %s", got)
		}
	}
	week("week")
	for range 3 {
		f.send("elsewhere", elsewhere)
		f.b.retain("ratchet/v1/jobs/all/other", f.signedAt(f.cancelling("other"), ahead))
		f.stop()
		f.b.forget()
		f.start().online(f.b)
	}
	week("later")
	f.wantRuns("far", "week", "later")
	if floor := time.Until(f.clock.Floor()); floor > 25*time.Hour {
		f.Errorf("the floor is %s ahead, want a day at most", floor)
	}
	return got + "; ordinary jobs: succeeded, also after a restart"
}
