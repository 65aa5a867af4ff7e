package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ratchet": main})
}

// TestSessions runs testdata/*.txtar, each with a broker of its own. Beside the
// usual commands they have:
//
//	device NAME [group=G]... [site=S] [does=succeed|fail|reject|hang]
//	                      a device comes online and does so with every job
//	offline NAME          it goes offline
//	told DEVICE JOB FILE  it tells the status in FILE
//	retained TOPIC FILE   what lies at TOPIC, below the root, goes to FILE
//	publish TOPIC FILE    the other way round
func TestSessions(t *testing.T) { runSessions(t, "testdata/*.txtar") }

// TestE2EKeys are the sessions that need a gigabyte of memory for every use of
// a protected key.
func TestE2EKeys(t *testing.T) {
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("set RATCHET_E2E=1, as make e2e does")
	}
	runSessions(t, "testdata/e2e/*.txtar")
}

func runSessions(t *testing.T, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no sessions:", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			url, stop, err := broker.Start()
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Setenv("RATCHET_BROKER", url)
			env.Setenv("RATCHET_CONFIG", filepath.Join(env.WorkDir, "config.toml"))
			c, err := link.Connect(context.Background(), link.Options{Broker: url, Root: "ratchet/v1"})
			if err != nil {
				return err
			}
			env.Defer(c.Close)
			env.Values["client"] = c
			env.Values["devices"] = map[string]*fakeDevice{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"device":   cmdDevice,
			"offline":  cmdOffline,
			"told":     cmdTold,
			"retained": cmdRetained,
			"publish":  cmdPublish,
		},
	})
}

func clientOf(ts *testscript.TestScript) *link.Client { return ts.Value("client").(*link.Client) }

func cmdDevice(ts *testscript.TestScript, _ bool, args []string) {
	d := &fakeDevice{id: args[0], does: "succeed", facts: map[string]any{
		"device": args[0], "agent": "v1.2.3", "board": map[string]any{"arch": "mipsle"}}}
	for _, arg := range args[1:] {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "group":
			d.groups = append(d.groups, value)
			d.facts["groups"] = d.groups
		case "site":
			d.facts["tags"] = map[string]string{"site": value}
		case "does":
			d.does = value
		}
	}
	ts.Check(d.start(ts.Getenv("RATCHET_BROKER")))
	ts.Value("devices").(map[string]*fakeDevice)[d.id] = d
	ts.Defer(d.stop)
}

func cmdOffline(ts *testscript.TestScript, _ bool, args []string) {
	d := ts.Value("devices").(map[string]*fakeDevice)[args[0]]
	ts.Check(d.say("state", "", dialect.Presence{}))
	d.stop()
}

func cmdTold(ts *testscript.TestScript, _ bool, args []string) {
	to := dialect.Topic{Device: args[0], Part: "jobs", Name: args[1]}
	ts.Check(clientOf(ts).Publish(context.Background(), to, []byte(ts.ReadFile(args[2]))))
}

func cmdPublish(ts *testscript.TestScript, _ bool, args []string) {
	to, ok := dialect.ParseTopic("ratchet/v1", "ratchet/v1/"+args[0])
	if !ok {
		ts.Fatalf("%s is no topic of ours", args[0])
	}
	ts.Check(clientOf(ts).Publish(context.Background(), to, []byte(strings.TrimSpace(ts.ReadFile(args[1])))))
}

func cmdRetained(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reader, err := link.Connect(ctx, link.Options{Broker: ts.Getenv("RATCHET_BROKER"), Root: "ratchet/v1"})
	ts.Check(err)
	defer reader.Close()
	var found []byte
	ts.Check(reader.ReadRetained(ctx, func(m link.Message) { found = m.Payload }, "ratchet/v1/"+args[0]))
	if neg != (found == nil) {
		ts.Fatalf("retained at %s: %q", args[0], found)
	}
	if found != nil {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(bytes.TrimRight(found, "\n"), '\n'), 0o600))
	}
}

// What a peer sent may hit a bug: the command says so, and where.
func TestABugIsSaidAndEndsTheCommand(t *testing.T) {
	var said bytes.Buffer
	s := &session{err: screen.On(&said), begun: true}
	code := s.exitCode(fence.Call(func() error { panic("boom") }))
	if got := said.String(); code != exitError || !strings.HasPrefix(got, "ratchet: panic: boom (a bug in ratchet: please report it)\n") || !strings.Contains(got, "main_test.go") {
		t.Errorf("got code %d and %q", code, got)
	}
}
