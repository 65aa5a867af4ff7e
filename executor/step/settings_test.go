package step_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestSettingsRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{"content":""}`:                                                 "name: ",
		`{"name":"../ratchet","content":""}`:                             "name: ",
		`{"name":"a.toml","content":""}`:                                 "name: ",
		`{"name":".a","content":""}`:                                     "name: ",
		`{"name":"a/b","content":""}`:                                    "name: ",
		`{"name":"a"}`:                                                   "exactly one of content and absent",
		`{"name":"a","content":null}`:                                    "exactly one of",
		`{"name":"a","content":"","absent":true}`:                        "exactly one of",
		`{"name":"a","content":"","mode":"0644"}`:                        "mode: unknown field",
		`{"name":"a","content":7}`:                                       "content: ",
		fmt.Sprintf(`{"name":%q,"content":""}`, strings.Repeat("a", 48)): "name: ",
	} {
		steptest.WantError(t, step.Settings{}.Check([]byte(with)), want)
	}
	if err := (step.Settings{}).Check([]byte(`{"name":"0_-zZ","content":{"secret":"wifi"}}`)); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

// owner is an agent that takes any settings but bad ones.
type owner struct {
	tried    []string
	reloaded []string // what lay there each time
	dir      string
}

func (o *owner) kind() step.Settings { return step.Settings{Dir: o.dir, Try: o.try, Reload: o.reload} }

func (o *owner) try(name, content string, offered bool) error {
	o.tried = append(o.tried, fmt.Sprintf("%s=%s offered:%v", name, content, offered))
	if content == "bad" {
		return errors.New("link.broker: want one")
	}
	return nil
}

func (o *owner) reload() error {
	text, err := os.ReadFile(filepath.Join(o.dir, "net.toml"))
	if err != nil {
		text = []byte("none")
	}
	o.reloaded = append(o.reloaded, string(text))
	return nil
}

func TestSettingsAreInForceAsSoonAsTheyLieThereAndSoIsTheirUndo(t *testing.T) {
	o := &owner{dir: filepath.Join(t.TempDir(), "conf.d")}
	a := steptest.NewAttempt(t, `{"name":"net","content":"a = 1"}`)
	if err := errors.Join(a.Run(context.Background(), o.kind()), a.Undo(o.kind()), a.Undo(o.kind())); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(o.reloaded, " | "), "a = 1 | none | none"; got != want {
		t.Errorf("got %s in force, want %s", got, want)
	}
	if _, err := os.Stat(o.dir); !os.IsNotExist(err) {
		t.Errorf("the undo left %s behind (%v)", o.dir, err)
	}
}

func TestSettingsThatTheAgentCannotRunWithAreNeverWritten(t *testing.T) {
	o := &owner{dir: t.TempDir()}
	steptest.WantError(t, o.kind().Check([]byte(`{"name":"net","content":"bad"}`)), "the agent could not run with it: link.broker")
	a := steptest.NewAttempt(t, `{"name":"net","content":"bad"}`)
	steptest.WantError(t, a.Run(context.Background(), o.kind()), "link.broker")
	if files, _ := os.ReadDir(o.dir); len(files) != 0 || len(o.reloaded) != 0 {
		t.Errorf("got %v written and %v in force, want nothing", files, o.reloaded)
	}
	if got, want := strings.Join(o.tried, ", "), "net=bad offered:true, net=bad offered:false"; got != want {
		t.Errorf("tried %s, want %s", got, want)
	}
}

func TestSettingsAreNobodyElsesToRead(t *testing.T) {
	o := &owner{dir: t.TempDir()}
	if err := steptest.NewAttempt(t, `{"name":"net","content":"a = 1"}`).Run(context.Background(), o.kind()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(o.dir, "net.toml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
}
