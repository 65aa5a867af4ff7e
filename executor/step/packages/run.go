package packages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// packing is one attempt at a package step, or at its undo.
type packing struct {
	Kind
	manager
	t    *executor.Task
	with packageWith
	arch string // dpkg's own
}

func (k Kind) begin(t *executor.Task) (*packing, error) {
	with, err := parsePackage(t.With)
	if err != nil {
		return nil, err
	}
	m, err := k.manager(with)
	return &packing{Kind: k, manager: m, t: t, with: with}, err
}

// repaired is installed, after what an attempt before, or somebody else, has
// left half done was finished, unless there is nothing for this step to do.
func (p *packing) repaired(ctx context.Context) (installed, error) {
	now, err := p.installed(ctx)
	if err != nil {
		return nil, err
	}
	todo, err := p.todo(now)
	if p.t.Attempt == 1 && (err != nil || todo.empty()) {
		return now, nil
	}
	if !todo.empty() {
		if err := p.keep(now); err != nil {
			return nil, err
		}
	}
	if err := p.finish(ctx, now); err != nil {
		return nil, err
	}
	return p.installed(ctx)
}

// tasks are what is not so yet.
type tasks struct {
	install []wanted
	want    []wanted // installed, but only for another's sake
	remove  []string
	upgrade bool
}

func (s tasks) empty() bool { return len(s.install)+len(s.want)+len(s.remove) == 0 && !s.upgrade }

func (p *packing) todo(now installed) (s tasks, err error) {
	for _, w := range p.with.install {
		it, ok := now[p.key(w.name)]
		switch {
		case !ok || it.unsound || w.version != "" && w.version != it.version:
			s.install = append(s.install, w)
		case it.dependency:
			s.want = append(s.want, w)
		}
	}
	for _, name := range p.with.Remove {
		if _, ok := now[p.key(name)]; ok {
			s.remove = append(s.remove, p.key(name))
		}
	}
	for _, name := range p.with.Upgrade.names {
		if _, ok := now[p.key(name)]; !ok {
			return s, fmt.Errorf("upgrade: %s is not installed: to install it is what install is for", name)
		}
	}
	s.upgrade = p.with.Upgrade.all || len(p.with.Upgrade.names) > 0
	return s, nil
}

// pack does all that is to do, and returns what is installed then.
func (p *packing) pack(ctx context.Context, before installed, todo tasks) (installed, error) {
	doing := p.Do(ctx, todo)
	if errors.Is(doing, executor.ErrStopped) || ctx.Err() != nil {
		return nil, doing
	}
	now, err := p.installed(ctx)
	if err != nil {
		return nil, errors.Join(doing, err)
	}
	// opkg and apt fail for another's package too that cannot be configured. Of
	// apk nothing but its status tells that a script failed.
	verdict := p.verify(ctx, before, now)
	switch {
	case doing == nil:
		p.sayCurrent(before, now)
		return now, verdict
	case verdict != nil || p.name == "apk" || todo.upgrade:
		return nil, doing
	}
	fmt.Fprintf(p.t.Output, "all is as the step says, though %v\n", doing)
	return now, nil
}

// Do makes the changes, and makes durable what the manager has written.
func (p *packing) Do(ctx context.Context, s tasks) error {
	err := p.drop(ctx, s.remove)
	if err == nil {
		err = p.fetch(ctx, s.install)
	}
	if err == nil {
		err = p.claim(ctx, s.want)
	}
	if err == nil && s.upgrade {
		err = p.renew(ctx)
	}
	return errors.Join(err, safefile.SyncDisk("/"))
}

// drop removes packages. opkg takes them one by one in the order in which they
// are named, and leaves one that another still needs: so as long as some go,
// the rest is tried again.
func (p *packing) drop(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := p.spares(ctx, slices.Concat(p.removing, names), names); err != nil {
		return fmt.Errorf("removing %s: %w", strings.Join(names, " "), err)
	}
	for len(names) > 0 {
		removing := p.run(ctx, slices.Concat(p.removing, names))
		if removing == nil {
			return nil
		}
		now, err := p.installed(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := now[name]; return !ok })
		if len(left) == len(names) {
			return fmt.Errorf("removing %s: %w", strings.Join(names, " "), removing)
		}
		names = left
	}
	return nil
}

func (p *packing) fetch(ctx context.Context, list []wanted, options ...string) error {
	if len(list) == 0 {
		return nil
	}
	argv, agent := p.manager.with(p.installing, options...), false
	var names []string
	for _, w := range list {
		if err := p.offered(ctx, w); err != nil {
			return err
		}
		argv = append(argv, p.argument(w))
		names = append(names, w.String())
		agent = agent || process.IsAgent(w.name)
	}
	err := p.spares(ctx, argv, names)
	if err == nil {
		err = p.changeWorld(ctx, argv, agent)
	}
	if err != nil && !p.with.Refresh && missing(err.Error()) {
		err = fmt.Errorf("%w (the lists of what can be had may be old: refresh: true fetches them)", err)
	}
	if err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

// offered checks that opkg would install this version: it takes names only, and
// of a name the newest.
func (p *packing) offered(ctx context.Context, w wanted) error {
	if p.exact || w.version == "" {
		return nil
	}
	feeds, err := p.feeds(ctx, w.name)
	switch {
	case err != nil:
		return err
	case len(feeds) == 0:
		return fmt.Errorf("installing %s: the feeds have no version of it", w)
	case !slices.Contains(feeds, w.version):
		return fmt.Errorf("installing %s: the feeds have %s of it", w, strings.Join(feeds, ", "))
	case len(feeds) > 1:
		return p.newest(ctx, w, feeds)
	}
	return nil
}

// verify checks what is installed against what was asked: not every manager
// fails when it could not do its work.
func (p *packing) verify(ctx context.Context, before, now installed) error {
	left, err := p.todo(now)
	if err != nil {
		return err
	}
	for _, w := range slices.Concat(left.install, left.want) {
		it, ok := now[p.key(w.name)]
		by := p.provider(ctx, now, w)
		switch {
		case ok && it.unsound:
			return fmt.Errorf("%s is unpacked but not configured, although %s ended well: see its output", w, p.name)
		case ok && (w.version == "" || w.version == it.version):
			return fmt.Errorf("%s is still there only as a dependency, although %s ended well: see its output", w, p.name)
		case ok:
			return fmt.Errorf("%s is %s, although %s ended well: see its output", w, it.version, p.name)
		case by == "":
			return fmt.Errorf("%s is not installed, although %s ended well: see its output%s", w, p.name, p.elsewhere(now, w.name))
		}
		fmt.Fprintf(p.t.Output, "%s is provided by %s %s\n", w, by, now[by].version)
	}
	if len(left.remove) > 0 {
		return fmt.Errorf("%s is still installed, although %s ended well: another package may need it", left.remove[0], p.name)
	}
	for _, name := range p.with.Remove {
		if by := p.provider(ctx, now, wanted{name: name}); by != "" && !had(before, p.key(name)) {
			return fmt.Errorf("%s is provided by %s: name that to remove it", name, by)
		}
	}
	return p.sparedOthers(before, now)
}

func had(before installed, name string) bool { _, ok := before[name]; return ok }

// elsewhere tells of the same package for another architecture.
func (p *packing) elsewhere(now installed, name string) string {
	for _, other := range slices.Sorted(maps.Keys(now)) {
		if base, _, foreign := strings.Cut(other, ":"); foreign && base == name {
			return fmt.Sprintf(" (%s is: name it so)", other)
		}
	}
	return ""
}

func (p *packing) file(name string) string { return filepath.Join(p.t.Dir, name) }
