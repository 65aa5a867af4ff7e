package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestALogLineKeepsItsLevelWhereverItIsKept(t *testing.T) {
	for _, c := range []struct {
		name             string
		journal          string
		syslog           bool
		wantOut, wantErr string
	}{
		{"journald", "8:1", false, "", "<6>level=INFO msg=came job=a\n<4>level=WARN msg=away\n<3>level=ERROR msg=broken\n"},
		{"procd", "", true, "level=INFO msg=came job=a\n", "level=WARN msg=away\nlevel=ERROR msg=broken\n"},
	} {
		t.Setenv("JOURNAL_STREAM", c.journal)
		var out, err bytes.Buffer
		log := (&command{out: &out, err: &err}).logger(slog.LevelInfo, c.syslog)
		log.Debug("idle")
		log.Info("came", "job", "a")
		log.Warn("away")
		log.Error("broken")
		if out.String() != c.wantOut || err.String() != c.wantErr {
			t.Errorf("%s: got %q and %q, want %q and %q", c.name, out.String(), err.String(), c.wantOut, c.wantErr)
		}
	}
}
