package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// Between a job's acceptance and the turn of its handler there may be days.
func TestAHandlerIsJudgedAgainWhenItsTurnComes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ harm, want string }{
		"open to others":             {`chmod 722 second.sh`, "others can write"},
		"in a folder open to others": {`chmod 777 .`, "others can write"},
		"a link to elsewhere":        {`mkdir -m 777 ../open; cp second.sh ../open; ln -sf ../open/second.sh .`, "others can write"},
		"as it was":                  {`true`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newAWS(t, "")
			dir := filepath.Join(d.dir, "handlers")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"first.sh": "cd " + dir + "; " + tt.harm, "second.sh": "echo second ran"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			d.start()
			create(t, s, "job", `{"version":"1.0","steps":[
				{"action":{"name":"a","type":"runHandler","input":{"handler":"first.sh","path":"default"}}},
				{"action":{"name":"b","type":"runHandler","input":{"handler":"second.sh","path":"default"}}}]}`)
			e := ends(t, s, "job")
			said := d.said(e)
			if ran := strings.Contains(said, "second ran"); ran != (tt.want == "") || !strings.Contains(said, tt.want) {
				t.Errorf("got %s, %q, want %q in it", e.Status, said, tt.want)
			}
		})
	}
}

// A service can begin a signed job as often as it likes; the owner meant it once.
func TestASignedJobOfAServiceIsDoneOnce(t *testing.T) {
	key := newSigner(t)
	var service movable
	s, d := newAWS(t, "", func(s *jobs.Service) { s.Now = service.now })
	d.write("ratchet.toml", readAll(t, filepath.Join(d.dir, "ratchet.toml"))+owned(key))
	d.start()
	file := filepath.Join(d.dir, "out")
	said := func(id, shell string) string {
		doc := string(text(t, map[string]any{"id": id, "expires": "2099-01-01T00:00:00Z", "audience": []string{"all"},
			"steps": []any{map[string]any{"name": "a", "command": map[string]any{"shell": shell}}}}))
		return string(dialect.Envelope{Job: doc, Signature: signature(key.private, doc, time.Now())}.Payload())
	}
	once, failing := said("job", "echo once >>"+file), said("other", "echo fails >>"+file+"; exit 1")
	for _, tt := range []struct{ id, text, want string }{
		{"job", once, "SUCCEEDED"}, {"job", once, "REJECTED"}, {"other", failing, "FAILED"}, {"other", failing, "FAILED"},
	} {
		create(t, s, tt.id, tt.text)
		if e := ends(t, s, tt.id); e.Status != tt.want {
			t.Errorf("%s: got %s (%s), want %s", tt.id, e.Status, e.Details["reason"], tt.want)
		}
		s.Delete(tt.id)
		service.move(2 * time.Second) // a queue's time is in seconds
	}
	create(t, s, "job", said("job", "echo once >>"+file))
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" {
		t.Errorf("signed again: got %s (%s)", e.Status, e.Details["reason"])
	}
	if got := read(t, file); got != "once fails fails once" {
		t.Errorf("ran %q", got)
	}
}
