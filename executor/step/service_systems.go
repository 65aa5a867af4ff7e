package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// answer is what a device says when it may be unable to tell.
type answer int

const (
	unknown answer = iota
	yes
	no
)

func (a answer) not() answer {
	return map[answer]answer{unknown: unknown, yes: no, no: yes}[a]
}

func answerOf(ok bool) answer {
	if ok {
		return yes
	}
	return no
}

// serviceNow is how a service is.
type serviceNow struct {
	running, enabled answer
	settling         bool   // on the way to what running says
	enabling         string // enabled in systemd's word
	stale            bool   // systemd has not read its changed file
}

func (k Service) path(path string) string { return filepath.Join("/", k.Root, path) }

func (k Service) systemd() bool { return safefile.Exists(k.path("/run/systemd/system")) }

// argv is the command line of an action.
func (k Service) argv(name, action string) ([]string, error) {
	switch {
	case k.systemd():
		return []string{k.path("/bin/systemctl"), action, "--", name}, nil
	case safefile.Exists(k.path("/etc/rc.common")):
		return []string{k.path("/etc/init.d/" + name), action}, nil
	}
	return nil, errors.New("neither systemd nor procd runs this device: use the kind command for its services")
}

// look finds out how a service is; one that does not exist is an error.
func (k Service) look(ctx context.Context, t *executor.Task, name string) (serviceNow, error) {
	if _, err := k.argv(name, ""); err != nil {
		return serviceNow{}, err
	}
	if k.systemd() {
		return k.lookSystemd(ctx, t, name)
	}
	return k.lookProcd(ctx, t, name)
}

func (k Service) lookSystemd(ctx context.Context, t *executor.Task, name string) (now serviceNow, err error) {
	said, code, err := k.ask(ctx, t, k.path("/bin/systemctl"), "show", "--property=Id,LoadState,ActiveState,NeedDaemonReload", "--", name)
	if err == nil && code != 0 {
		err = fmt.Errorf("asking systemd for %s: exit status %d", name, code)
	}
	if err != nil {
		return now, err
	}
	is := map[string]string{}
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		is[key] = value
	}
	if is["LoadState"] == "not-found" {
		return now, fmt.Errorf("there is no service %s: systemctl list-unit-files shows those of this device", name)
	}
	if k.Policy.Services == nil && is["Id"] != "" { // an alias: runlevel0.target is poweroff.target
		if err := k.Policy.Service(is["Id"]); err != nil {
			return now, err
		}
	}
	// is-enabled knows the scripts of init.d too, which have no unit file.
	said, _, err = k.ask(ctx, t, k.path("/bin/systemctl"), "is-enabled", "--", name)
	now.enabling = strings.TrimSpace(said)
	switch now.enabling {
	case "enabled", "disabled": // others, such as static, are neither
		now.enabled = answerOf(now.enabling == "enabled")
	}
	switch is["ActiveState"] {
	case "active", "activating", "reloading", "refreshing":
		now.running = yes
	case "inactive", "failed", "deactivating":
		now.running = no
	}
	now.settling = is["ActiveState"] == "activating" || is["ActiveState"] == "deactivating"
	now.stale = is["NeedDaemonReload"] == "yes"
	return now, err
}

func (k Service) lookProcd(ctx context.Context, t *executor.Task, name string) (now serviceNow, err error) {
	script := k.path("/etc/init.d/" + name)
	info, err := os.Stat(script)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return now, fmt.Errorf("there is no service %s: ls /etc/init.d shows those of this device", name)
	}
	// A script without procd knows no "running", and shows its syntax with
	// status 0.
	said, code, err := k.ask(ctx, t, script, "running")
	if err != nil {
		return now, err
	}
	if !strings.Contains(said, "Syntax:") && code <= 1 {
		now.running = answerOf(code == 0)
	}
	if _, code, err = k.ask(ctx, t, script, "enabled"); err == nil && code <= 1 {
		now.enabled = answerOf(code == 0)
	}
	return now, err
}
