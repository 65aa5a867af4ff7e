package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// env is what expressions see of this device.
func (a *Agent) env() map[string]any {
	return map[string]any{"facts": json.RawMessage(a.facts()), "health": a.health.Load(), "vars": a.config.Load().Vars}
}

// judging bounds the time in which an expression is judged outside a step.
func (a *Agent) judging() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

// A board is the executor's Device: what steps may ask of this one.
type board struct{ agent *Agent }

func (b board) Env() map[string]any                { return b.agent.env() }
func (b board) Secret(name string) (string, error) { return b.agent.secret(name) }
func (b board) Mask(text string) string            { return b.agent.known().Hide(text) }
func (b board) Check(ctx context.Context, check json.RawMessage) error {
	return b.agent.checker().Check(ctx, check)
}
func (b board) Connect(ctx context.Context) error { return b.agent.link.fresh(ctx) }

// prune bounds the history; what is forgotten is taken from the broker too, so
// without a connection only that goes which nobody ever heard of. Where jobs are
// signed a clock that jumps ahead makes no id forgotten: set right again, it would
// let a broker bring the job out once more.
func (a *Agent) prune(seen map[string]bool) error {
	h := store.History{Seen: seen, Quiet: a.link.current() == nil}
	if len(a.config.Load().Policy.Keys) > 0 {
		h.Past = a.clock.floor()
	}
	forgotten, err := a.db.Prune(a.clock.stamp(), h)
	for _, id := range forgotten {
		a.told.say(word{messages: a.dialect().Tell(dialect.Forgotten{ID: id})})
	}
	return err
}

// checker runs checks as this device can: https is verified at a time that is
// not below the floor, as the broker is.
func (a *Agent) checker() check.Checker {
	return check.Checker{Broker: a.link.alive, Groups: a.groups, Log: a.log,
		Probes: telemetry.Prober{TLS: &tls.Config{Time: a.clock.now}}}
}

// secret reads a secret of this device, for the step that names it.
func (a *Agent) secret(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(a.secrets(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("secret: there is no file %s in %s", name, a.secrets())
	}
	if err := secretFile("secret", filepath.Join(a.secrets(), name)); err != nil {
		return "", err
	}
	if len(text) > executor.MaxOutput {
		return "", fmt.Errorf("secret: %s has %d bytes: at most %d are taken", name, len(text), executor.MaxOutput)
	}
	return strings.TrimRight(string(text), "\r\n"), err
}

func (a *Agent) secrets() string { return filepath.Join(filepath.Dir(a.path), "secrets") }

// masks are the secrets of this device, as they were read last: to make out
// their forms takes longer than to read them.
type masks struct {
	mu   sync.Mutex
	of   []string
	made redact.Secrets
}

// mask hides every secret of this device in what a step has to say.
func (a *Agent) mask(text []byte) []byte { return []byte(a.known().Hide(string(text))) }

// known are the secrets as they are now.
func (a *Agent) known() redact.Secrets {
	of := a.allSecrets()
	a.masks.mu.Lock()
	defer a.masks.mu.Unlock()
	if !slices.Equal(of, a.masks.of) {
		a.masks.of, a.masks.made = of, redact.New(of)
	}
	return a.masks.made
}

// hideLines hides them in lines of JSON, such as what a program made of a log.
func (a *Agent) hideLines(lines []byte) []byte {
	out, known := make([]byte, 0, len(lines)), a.known()
	for line := range bytes.Lines(lines) {
		hid := redact.JSON(line, known.Hide)
		out = append(append(out, bytes.TrimSuffix(hid, []byte("\n"))...), '\n')
	}
	return out
}

// allSecrets are the texts in the secrets' folder and in all other files of secrets.
func (a *Agent) allSecrets() (texts []string) {
	read := func(path string, most int64) {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not be waited for
		if err != nil {
			return // there is none
		}
		defer f.Close()
		if text, err := io.ReadAll(io.LimitReader(f, most+1)); err == nil && int64(len(text)) <= most {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
	files, _ := os.ReadDir(a.secrets()) // none: nothing to hide
	for _, f := range files {
		read(filepath.Join(a.secrets(), f.Name()), executor.MaxOutput)
	}
	for _, path := range a.config.Load().secretPaths() {
		read(path, 64<<10)
	}
	return texts
}

// policy is what the owner lets steps do; what is the agent's own is nobody's.
func (a *Agent) policy() policy.Policy {
	c := a.config.Load()
	return policy.Policy{
		Protected: a.own(),
		Paths:     c.Policy.Paths, Commands: c.Policy.Commands, URLs: c.Policy.URLs, Users: c.Policy.Users,
		MaxSize: int64(c.Policy.MaxSize),
	}
}

// own is what no job may read or write. Single files are named beside the trees
// they lie in, since hard links to them are known by the file. On OpenWrt ratchet.toml is made
// from /etc/config/ratchet.
func (a *Agent) own() []string {
	c := a.config.Load()
	own := append(c.secretPaths(), c.State, store.Path(c.State), a.path, c.confDir(), c.keysFile(), a.secrets(),
		a.firmwareScript(), "/etc/config/ratchet")
	if c.Policy.Commands != nil { // what lies there is run, whatever commands says
		own = append(own, filepath.Join(filepath.Dir(a.path), "facts.d"), c.AWS.Handlers, step.PluginDir)
	}
	secrets, _ := os.ReadDir(a.secrets()) // none: nothing to keep
	for _, f := range secrets {
		own = append(own, filepath.Join(a.secrets(), f.Name()))
	}
	if exe, err := os.Executable(); err == nil {
		own = append(append(own, exe), step.Update{Path: exe}.Beside()...)
	}
	return slices.DeleteFunc(own, func(p string) bool { return p == "" })
}

// runtimeDir is a directory in RAM for what must not outlive this boot. OpenWrt
// has no /run, and there /var is RAM.
func runtimeDir(state string) string {
	name := "ratchet-" + executor.Digest([]byte(state))[:12]
	for _, dir := range []string{"/run", "/var/run"} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && os.Geteuid() == 0 {
			return filepath.Join(dir, name)
		}
	}
	return ownDir(filepath.Join(os.TempDir(), name), filepath.Join(state, "run"))
}

// ownDir is dir, made where it is missing, unless somebody else was there
// first: in a directory that all may write he would say which process groups to
// kill. Then it is otherwise.
func ownDir(dir, otherwise string) string {
	_ = os.Mkdir(dir, 0o700) // it may be there; what counts is whose it is
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return otherwise
	}
	return dir
}
