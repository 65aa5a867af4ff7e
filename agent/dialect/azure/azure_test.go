package azure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

func TestATextInPiecesIsTheSameText(t *testing.T) {
	for _, text := range []string{"x", strings.Repeat("ab", 5000), strings.Repeat("ä€𝄞", 4000), "a" + strings.Repeat("𝄞", 2000)} {
		pieces := Pieces(text)
		for i, p := range pieces {
			if len(p) > 4<<10 || !utf8.ValidString(p) {
				t.Errorf("piece %s has %d bytes, want at most 4096 of whole characters", i, len(p))
			}
		}
		if got, err := joined(pieces); got != text || err != nil {
			t.Errorf("got %d bytes, %v, want the %d of the text", len(got), err, len(text))
		}
	}
}

// fullTwin is one whose reported jobs take 31 KB. The even ones are still
// asked for, and every tenth is not finished.
func fullTwin(t *testing.T) (twin []byte, jobs map[string]reportedJob) {
	t.Helper()
	jobs, desired := map[string]reportedJob{}, map[string]any{}
	for i := range 80 {
		id, reason := fmt.Sprintf("%060d", i), strings.Repeat("r", maxTwinReason)
		j := reportedJob{State: executor.Failed, Rev: 9, Seq: uint64(i + 1), Reason: &reason}
		if i%10 == 0 {
			j.State = executor.Running
		}
		if i%2 == 0 {
			desired[id] = map[string]any{"url": "https://example.com", "sha256": strings.Repeat("0", 64)}
		}
		jobs[id] = j
	}
	twin, err := json.Marshal(map[string]any{"desired": map[string]any{"$version": 1, "jobs": desired},
		"reported": map[string]any{"$version": 1, "jobs": jobs}})
	if err != nil {
		t.Fatal(err)
	}
	return twin, jobs
}

func TestReportedJobsMakeRoomOldestFirst(t *testing.T) {
	twin, jobs := fullTwin(t)
	var patch struct{ Jobs map[string]*reportedJob }
	for _, e := range (Dialect{Device: "gw-1"}).Receive(dialect.Message{Topic: twinAnswers + "200/?$rid=get", Payload: twin}) {
		if say, ok := e.(dialect.Say); ok {
			if err := json.Unmarshal(say[0].Payload, &patch); err != nil || len(say[0].Payload) > 32<<10 {
				t.Fatalf("a patch of %d bytes: %v", len(say[0].Payload), err)
			}
		}
	}
	if len(patch.Jobs) == 0 {
		t.Fatal("no room is made in 31 KB")
	}
	newestGone := uint64(0)
	for id, now := range patch.Jobs {
		was := jobs[id]
		newestGone = max(newestGone, was.Seq)
		wanted := (was.Seq-1)%2 == 0
		switch {
		case was.State == executor.Running:
			t.Errorf("job %d runs, and loses its state", was.Seq)
		case (now != nil) != wanted:
			t.Errorf("job %d, asked for: %v, becomes %+v", was.Seq, wanted, now)
		case now != nil && (now.State != was.State || now.Rev != was.Rev || now.Reason != nil):
			t.Errorf("job %d becomes %+v, want its bare state", was.Seq, now)
		}
		if jobs[id] = (reportedJob{}); now == nil {
			delete(jobs, id)
		}
	}
	for _, j := range jobs {
		if j.State == executor.Failed && j.Seq < newestGone {
			t.Errorf("job %d keeps its reason, while the newer %d does not", j.Seq, newestGone)
		}
	}
	if size := len(dialect.Marshal(jobs)); size > roomy {
		t.Errorf("%d bytes are left, want at most %d", size, roomy)
	}
}

func TestFactsFitATwinWhateverTheyAre(t *testing.T) {
	packages, tags := map[string]string{}, map[string]string{}
	for i := range 100 {
		packages[fmt.Sprintf("lib.%d", i)] = strings.Repeat("1", 100)
		tags[fmt.Sprintf("t %d", i)] = "x"
	}
	facts, err := json.Marshal(map[string]any{"agent": "1", "packages": packages, "tags": tags, "kinds": []string{"file"},
		"os": map[string]string{"name": "x"}, "custom": strings.Repeat("x", 30000)})
	if err != nil {
		t.Fatal(err)
	}
	last := Dialect{}.Tell(dialect.Revision{Facts: facts})[0].Payload
	if len(last) > maxTwinFacts+100 || !bytes.Contains(last, []byte(`"t_7":"x"`)) || bytes.Contains(last, []byte("custom")) {
		t.Errorf("got %d bytes: %s", len(last), last)
	}
}

func TestManySamplesGoInMessagesThatAHubTakes(t *testing.T) {
	sample := json.RawMessage(`{"x":"` + strings.Repeat("x", 3000) + `"}`)
	var samples dialect.Health
	for range 200 {
		samples = append(samples, sample)
	}
	n := 0
	for _, m := range (Dialect{Device: "gw-1"}).Tell(samples) {
		var list []json.RawMessage
		if err := json.Unmarshal(m.Payload, &list); err != nil || len(m.Payload) > 256<<10 {
			t.Errorf("%d bytes, %v", len(m.Payload), err)
		}
		n += len(list)
	}
	if n != len(samples) {
		t.Errorf("got %d samples, want %d", n, len(samples))
	}
}

func FuzzAzure(f *testing.F) {
	f.Add("$iothub/twin/res/200/?$rid=get", []byte(`{"desired":{"$version":1,"jobs":{"a":{"t":{"0":"{}"}}}},"reported":{"jobs":{"b":{"state":"failed","rev":1}}}}`))
	f.Add("$iothub/twin/PATCH/properties/desired/?$version=2", []byte(`{"jobs":{"a":null}}`))
	f.Add("$iothub/methods/POST/job/?$rid=1", []byte(`{}`))
	f.Add("$iothub/twin/res/204/?$rid=job.a.1&$version=3", []byte(nil))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		for _, e := range (Dialect{Device: "gw-1"}).Receive(dialect.Message{Topic: topic, Payload: payload}) {
			if o, ok := e.(dialect.Offer); ok {
				told := Dialect{}.Status(dialect.Report{Record: executor.Record{ID: o.ID, Key: o.ID, State: executor.Rejected, Reason: "x"}})
				if strings.ContainsAny(strings.TrimPrefix(told[0].Topic, twinReport), "#+\x00") {
					t.Errorf("the refusal of %q goes to %q", o.ID, told[0].Topic)
				}
			}
		}
	})
}
