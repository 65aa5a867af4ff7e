package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A forgetful broker passes on and acknowledges what is for a group, and does not retain
// it, as EMQX does above its rate.
type forgetful struct{ mochi.HookBase }

func (*forgetful) ID() string           { return "forgetful" }
func (*forgetful) Provides(b byte) bool { return b == mochi.OnPublish }
func (*forgetful) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if strings.Contains(p.TopicName, "/jobs/group/") {
		p.FixedHeader.Retain = false
	}
	return p, nil
}

func TestAnOfferThatTheBrokerDoesNotKeepIsNamed(t *testing.T) {
	b := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	l := listeners.NewTCP(listeners.Config{ID: "a", Address: "127.0.0.1:0"})
	for _, err := range []error{b.AddHook(new(auth.AllowHook), nil), b.AddHook(new(forgetful), nil), b.AddListener(l), b.Serve()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = b.Close() })
	t.Setenv("RATCHET_CONFIG", filepath.Join(t.TempDir(), "config.toml"))
	job := filepath.Join(t.TempDir(), "j.json")
	if err := os.WriteFile(job, []byte(`{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	code := run([]string{"submit", job, "--to", "group/routers,all", "--broker", "tcp://" + l.Address()}, nil, &out, &notes)
	if code != exitDone {
		t.Errorf("exit code %d: %s", code, notes.String())
	}
	const want = "the broker does not keep what it was given for group/routers: whoever connects later does not learn of it"
	if got := notes.String(); !strings.Contains(got, want) || strings.Contains(got, "for all:") {
		t.Errorf("got %q, want that of group/routers alone", got)
	}
}
