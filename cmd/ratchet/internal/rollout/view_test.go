package rollout

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// hear tells a view what lies on topics below the root.
func hear(t *testing.T, v *View, says map[string]any) {
	t.Helper()
	for topic, what := range says {
		at, ok := dialect.ParseTopic("r", "r/"+topic)
		if !ok {
			t.Fatalf("%q is no topic", topic)
		}
		text, isText := what.(string)
		if !isText {
			b, err := json.Marshal(what)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		v.Apply(link.Message{Topic: at, Payload: []byte(text)})
	}
}

// opened is a rollout to all whose only wave was opened at t0.
func opened() Document {
	d := underWay()
	d.Digest, d.Wave, d.Waves, d.Base = executor.Digest([]byte(jobText)), 0, []Wave{{Percent: 100}}, Counts{}
	return d
}

func at(after time.Duration) executor.Time { return stamp(t0.Add(after)) }

func TestHowADeviceStands(t *testing.T) {
	digest := opened().Digest
	took := func(s executor.State, after time.Duration) dialect.JobStatus {
		return dialect.JobStatus{State: s, Rev: 3, Digest: digest, AcceptedAt: at(after), Reason: "because"}
	}
	online, offline := dialect.Presence{Online: true}, dialect.Presence{}
	alert := func(severity string, after time.Duration) dialect.Alert {
		return dialect.Alert{Severity: severity, State: dialect.AlertRaised, Since: at(after)}
	}
	for _, c := range []struct {
		name     string
		presence dialect.Presence
		status   *dialect.JobStatus
		alerts   map[string]dialect.Alert
		want     Standing
		pauses   bool
	}{
		{name: "has not answered", presence: online, want: Working},
		{name: "has not answered, offline", presence: offline, want: Away},
		{name: "succeeded", presence: online, status: ptr(took(executor.Succeeded, 0)), want: Succeeded},
		{name: "failed, offline since", presence: offline, status: ptr(took(executor.Failed, 0)), want: Failed},
		{name: "rejected", presence: online, status: ptr(took(executor.Rejected, 0)), want: Rejected},
		{name: "cancelled there", presence: online, status: ptr(took(executor.Cancelled, 0)), want: Cancelled},
		{name: "at work, offline", presence: offline, status: ptr(took(executor.Running, 0)), want: Away},
		{name: "said of another document", presence: online, status: &dialect.JobStatus{State: executor.Succeeded, Rev: 3, Digest: "other"}, want: Working},
		{name: "gone since it succeeded", presence: offline, status: ptr(took(executor.Succeeded, time.Second)), want: Unwell},
		{name: "was away before, and is again", presence: offline, status: ptr(took(executor.Succeeded, time.Hour)), want: Succeeded},
		{name: "flaps", presence: offline, status: ptr(took(executor.Succeeded, 0)), alerts: map[string]dialect.Alert{"broker-flapping": alert("warning", -time.Hour)}, want: Succeeded},
		{name: "a critical alert since", presence: online, status: ptr(took(executor.Succeeded, 0)), alerts: map[string]dialect.Alert{"disk": alert("critical", time.Minute)}, want: Unwell},
		{name: "a critical alert before", presence: online, status: ptr(took(executor.Succeeded, 0)), alerts: map[string]dialect.Alert{"disk": alert("critical", -time.Minute)}, want: Succeeded},
		{name: "a warning since", presence: online, status: ptr(took(executor.Succeeded, 0)), alerts: map[string]dialect.Alert{"disk": alert("warning", time.Minute)}, want: Succeeded},
		{name: "an alert to pause on", presence: online, status: ptr(took(executor.Running, 0)), alerts: map[string]dialect.Alert{"hot": alert("warning", time.Minute)}, want: Working, pauses: true},
		{name: "an alert to pause on, before", presence: online, status: ptr(took(executor.Running, 0)), alerts: map[string]dialect.Alert{"hot": alert("warning", -time.Minute)}, want: Working},
	} {
		d := opened()
		d.Gates.PauseOn = []string{"hot"}
		v := NewView("j")
		says := map[string]any{"jobs/all/j": jobText, "device/gw-1/state": c.presence, "device/gw-1/facts": `{}`}
		if c.status != nil {
			says["device/gw-1/jobs/j"] = c.status
		}
		for name, a := range c.alerts {
			says["device/gw-1/alerts/"+name] = a
		}
		hear(t, v, says)
		rows, seen := v.Rows(d, t0), v.See(d, t0)
		if len(rows) != 1 || rows[0].Standing != c.want || (seen.Alert != "") != c.pauses || seen.All.Devices != 1 {
			t.Errorf("%s: got %+v and %+v, want %s", c.name, rows, seen, c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// What a job changes is often what its target asks for: a device that answered
// stays one of the rollout's.
func TestADeviceStaysWhenItsFactsChange(t *testing.T) {
	text := `{"id":"j","target":".agent == \"1.0\"","steps":[{"name":"a","command":{"argv":["true"]}}]}`
	d := opened()
	d.Digest = executor.Digest([]byte(text))
	v := NewView("j")
	hear(t, v, map[string]any{"jobs/all/j": text, "device/gw-1/state": `{"online":true}`, "device/gw-1/facts": `{"agent":"1.0"}`})
	if got := v.See(d, t0).All; got.Working != 1 {
		t.Fatalf("got %v, want one at work", got)
	}
	hear(t, v, map[string]any{"device/gw-1/jobs/j": dialect.JobStatus{State: executor.Succeeded, Rev: 9, Digest: d.Digest}, "device/gw-1/facts": `{"agent":"1.1"}`})
	if got := v.See(d, t0).All; got.Succeeded != 1 {
		t.Errorf("got %v, want one that succeeded", got)
	}
}

func TestWhatIsWrongWithTheOffersIsSaid(t *testing.T) {
	envelope := func(text string, r *executor.Rollout) string {
		return string(dialect.Envelope{Job: text, Rollout: r}.Payload())
	}
	late := strings.Replace(jobText, `"id":"j"`, `"id":"j","expires":"2026-11-30T08:00:00Z"`, 1)
	for _, c := range []struct {
		name, offer        string
		trouble, cancelled string
		behind             bool
	}{
		{name: "as wide as the waves", offer: envelope(jobText, &executor.Rollout{Percent: 10, Where: "(.tags.canary)"})},
		{name: "not yet as wide", offer: envelope(jobText, &executor.Rollout{}), behind: true},
		{name: "wider", offer: envelope(jobText, &executor.Rollout{Percent: 20}), trouble: "more widely than wave 10 %"},
		{name: "for all", offer: jobText, trouble: "more widely than wave 10 %"},
		{name: "gone", trouble: "job j is not offered to all any more"},
		{name: "another document", offer: `{"id":"j","steps":[]}`, trouble: "cannot be read"},
		{name: "another good document", offer: strings.Replace(jobText, `"a"`, `"b"`, 1), trouble: "another document is offered to all as j"},
		{name: "cancelled", offer: `{"id":"j","cancel":true}`, cancelled: "all"},
		{name: "expired", offer: late, trouble: "job j expired at 2026-11-30T08:00:00Z"},
	} {
		d := underWay()
		d.Digest = executor.Digest([]byte(jobText))
		if c.offer == late {
			d.Digest = executor.Digest([]byte(late))
		}
		v := NewView("j")
		hear(t, v, map[string]any{"jobs/all/j": c.offer})
		s := v.See(d, t0)
		if (c.trouble == "") != (s.Trouble == "") || !strings.Contains(s.Trouble, c.trouble) || s.Cancelled != c.cancelled || c.behind != slices.Contains(s.Behind, "all") {
			t.Errorf("%s: got trouble %q, cancelled %q, behind %q", c.name, s.Trouble, s.Cancelled, s.Behind)
		}
	}
}
