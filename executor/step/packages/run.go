package packages

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// versions are packages with their versions.
type versions map[string]string

// packing is one attempt at a package step, or at its undo.
type packing struct {
	Kind
	manager
	t    *executor.Task
	with packageWith
}

func (k Kind) begin(t *executor.Task) (*packing, error) {
	with, err := parsePackage(t.With)
	if err != nil {
		return nil, err
	}
	m, err := k.manager(with.Manager)
	return &packing{Kind: k, manager: m, t: t, with: with}, err
}

// installed asks what is installed.
func (p *packing) installed(ctx context.Context) (versions, error) {
	text, err := p.ask(ctx, p.list)
	if err != nil {
		return nil, fmt.Errorf("asking what is installed: %w", err)
	}
	all := versions{}
	for line := range strings.Lines(text) {
		if name, version := p.read(strings.TrimSpace(line)); name != "" {
			all[name] = version
		}
	}
	return all, nil
}

// repaired is installed, after what an attempt before, or somebody else, has
// left half done was finished, unless there is nothing for this step to do.
func (p *packing) repaired(ctx context.Context) (versions, error) {
	if p.t.Attempt == 1 {
		now, err := p.installed(ctx)
		if err != nil {
			return nil, err
		}
		if todo, err := p.todo(now); err != nil || todo.empty() {
			return now, nil
		}
	}
	if len(p.repair) > 0 {
		if err := p.run(ctx, p.repair); err != nil {
			return nil, fmt.Errorf("finishing an installation that was cut: %w", err)
		}
	}
	return p.installed(ctx)
}

// tasks are what is not so yet.
type tasks struct {
	install []wanted
	remove  []string
	upgrade bool
}

func (s tasks) empty() bool { return len(s.install)+len(s.remove) == 0 && !s.upgrade }

func (p *packing) todo(now versions) (s tasks, err error) {
	for _, w := range p.with.install {
		if version, ok := now[w.name]; !ok || w.version != "" && w.version != version {
			s.install = append(s.install, w)
		}
	}
	for _, name := range p.with.Remove {
		if _, ok := now[name]; ok {
			s.remove = append(s.remove, name)
		}
	}
	for _, name := range p.with.Upgrade.names {
		if _, ok := now[name]; !ok {
			return s, fmt.Errorf("upgrade: %s is not installed: to install it is what install is for", name)
		}
	}
	s.upgrade = p.with.Upgrade.all || len(p.with.Upgrade.names) > 0
	return s, nil
}

// pack does all that is to do, and returns what is installed then.
func (p *packing) pack(ctx context.Context, now versions, todo tasks) (versions, error) {
	if err := p.keep(now); err != nil {
		return nil, err
	}
	if err := p.Do(ctx, todo); err != nil {
		return nil, err
	}
	now, err := p.installed(ctx)
	if err != nil {
		return nil, err
	}
	return now, p.verify(now)
}

// Do makes the changes, and makes durable what the manager has written.
func (p *packing) Do(ctx context.Context, s tasks) error {
	if err := p.drop(ctx, s.remove); err != nil {
		return err
	}
	if err := p.fetch(ctx, s.install); err != nil {
		return err
	}
	if s.upgrade {
		if err := p.renew(ctx); err != nil {
			return err
		}
	}
	return safefile.SyncDisk("/")
}

// drop removes packages. opkg takes them one by one in the order in which they
// are named, and leaves one that another still needs: so as long as some go,
// the rest is tried again.
func (p *packing) drop(ctx context.Context, names []string) error {
	for len(names) > 0 {
		removing := p.run(ctx, slices.Concat(p.removing, names))
		if removing == nil {
			return nil
		}
		now, err := p.installed(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return now[name] == "" })
		if len(left) == len(names) {
			return fmt.Errorf("removing %s: %w", strings.Join(names, " "), removing)
		}
		names = left
	}
	return nil
}

func (p *packing) fetch(ctx context.Context, list []wanted) error {
	if len(list) == 0 {
		return nil
	}
	argv, agent := slices.Clone(p.installing), false
	var names []string
	for _, w := range list {
		if err := p.offered(ctx, w); err != nil {
			return err
		}
		argv = append(argv, p.argument(w))
		names = append(names, w.String())
		agent = agent || process.IsAgent(w.name)
	}
	err := p.change(ctx, argv, agent)
	if err != nil && !p.with.Refresh {
		err = fmt.Errorf("%w (the lists of what can be had may be old: refresh: true fetches them)", err)
	}
	if err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

// offered reports whether an exact version can be had from a manager that takes
// only names; which one it would install it does not say.
func (p *packing) offered(ctx context.Context, w wanted) error {
	if p.exact || w.version == "" {
		return nil
	}
	text, err := p.ask(ctx, append(slices.Clone(p.versions), w.name))
	if err != nil {
		return err
	}
	var found []string
	for line := range strings.Lines(text) {
		if name, version := p.read(strings.TrimSpace(line)); name == w.name {
			found = append(found, version)
		}
	}
	if slices.Contains(found, w.version) {
		return nil
	}
	return fmt.Errorf("installing %s: the feeds have %s of it", w, cmp.Or(strings.Join(found, ", "), "no version"))
}

// renew upgrades. It may reach the agent's own package.
func (p *packing) renew(ctx context.Context) error {
	names := p.with.Upgrade.names
	if p.with.Upgrade.all && len(p.upgradable) > 0 {
		text, err := p.ask(ctx, p.upgradable)
		if err != nil {
			return fmt.Errorf("asking what can be upgraded: %w", err)
		}
		for line := range strings.Lines(text) {
			if name, _ := p.read(line); name != "" {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return nil
		}
	}
	agent := p.with.Upgrade.all || slices.ContainsFunc(names, process.IsAgent)
	if err := p.change(ctx, p.upgradeArgv(names), agent); err != nil {
		return fmt.Errorf("upgrading %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

// verify checks what is installed against what was asked: not every manager
// fails when it could not do its work.
func (p *packing) verify(now versions) error {
	left, err := p.todo(now)
	switch {
	case err != nil:
		return err
	case len(left.install) > 0:
		return fmt.Errorf("%s is not installed, although %s ended well: see its output", left.install[0], p.name)
	case len(left.remove) > 0:
		return fmt.Errorf("%s is still installed, although %s ended well: another package may need it", left.remove[0], p.name)
	}
	return nil
}

func (p *packing) file(name string) string { return filepath.Join(p.t.Dir, name) }
