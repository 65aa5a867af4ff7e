package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// The undo data are files in the task's directory, each written at once: what
// was installed before, and, of a step that was done, after. On a device with
// many packages they would burden the journal.
const (
	listBefore = "before"
	listAfter  = "after"
	oldWorld   = "world"
)

// keep writes down what is installed before the first change, unless an earlier attempt has done so.
func (p *packing) keep(now installed) error {
	if safefile.Exists(p.file(listBefore)) {
		return p.Files.SyncExisting(p.file(listBefore))
	}
	if p.t.Dir == "" {
		return errors.New("keeping undo data: the task has no directory")
	}
	if err := p.Files.MakeTree(p.t.Dir, 0o700); err != nil {
		return fmt.Errorf("making room for undo data: %w", err)
	}
	if p.name == "apk" {
		world, err := os.ReadFile(p.world())
		if err != nil {
			return fmt.Errorf("reading what apk is to keep installed: %w", err)
		}
		if err := p.Write(p.file(oldWorld), string(world), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1}); err != nil {
			return err
		}
	}
	return p.writeList(listBefore, now)
}

// keepAfter writes down where a step that has changed something has ended.
func (p *packing) keepAfter(now installed) error {
	if !safefile.Exists(p.file(listBefore)) {
		return nil
	}
	return p.writeList(listAfter, now)
}

func (p *packing) writeList(name string, all installed) error {
	var text strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		it := all[pkg]
		fmt.Fprintf(&text, "%s %s", pkg, it.version)
		if it.dependency {
			text.WriteString(" dependency")
		}
		if it.unsound {
			text.WriteString(" unsound")
		}
		text.WriteString("\n")
	}
	return p.Write(p.file(name), text.String(), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
}

func (p *packing) Write(path, text string, a safefile.Attrs) error {
	return p.Files.Write(path, strings.NewReader(text), a)
}

// readList reads a list; nil when there is none.
func (p *packing) readList(name string) (installed, error) {
	text, err := os.ReadFile(p.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	all := installed{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 {
			all[f[0]] = found{version: f[1], dependency: slices.Contains(f, "dependency"), unsound: slices.Contains(f, "unsound")}
		}
	}
	return all, err
}

// Undo implements executor.Undoer.
func (k Kind) Undo(ctx context.Context, t *executor.Task) error {
	if !safefile.Exists((&packing{t: t}).file(listBefore)) {
		return nil // it has changed nothing
	}
	p, err := k.begin(t)
	if err != nil {
		return err
	}
	before, err := p.readList(listBefore)
	if err != nil {
		return err
	}
	now, err := p.installed(ctx)
	if err != nil {
		return err
	}
	changed, err := p.changed(before, now)
	if err != nil {
		return err
	}
	undo := p.goBack
	if p.name == "apk" {
		undo = p.settle
	}
	err = undo(ctx, before, now, changed)
	back := p.isBack(ctx, before, changed)
	if back != nil {
		back = errors.Join(err, back)
	} else if err != nil {
		fmt.Fprintf(t.Output, "all is as it was, though %v\n", err)
	}
	return errors.Join(back, safefile.SyncDisk("/"))
}

// changed lists the packages that this step has touched. One that was cut has
// not written down where it ended: it is what is different now.
func (p *packing) changed(before, now installed) (names []string, err error) {
	after, err := p.readList(listAfter)
	if err != nil {
		return nil, err
	}
	if after == nil {
		after = now
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if differs(before, after, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// differs reports whether a package is another one than it was, or is worse off.
func differs(before, now installed, name string) bool {
	was, had := before[name]
	is, has := now[name]
	return had != has || was.version != is.version || is.unsound && !was.unsound || had && was.dependency != is.dependency
}

// goBack removes what is new first: where a disk is full, that is what makes room,
// and a package that cannot be configured holds up all others.
func (p *packing) goBack(ctx context.Context, before, now installed, changed []string) error {
	var errs []error
	if err := p.dropNew(ctx, before, now, changed); err != nil {
		errs = append(errs, err)
	}
	now, err := p.installed(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, p.finish(ctx, now))
	// One by one: a version that is no longer to be had must not keep the
	// others from coming back.
	for _, name := range changed {
		was, had := before[name]
		is, has := now[name]
		switch {
		case !had || has && was.version == is.version && (!is.unsound || was.unsound):
		case has && was.version == is.version && p.name == "apt":
			errs = append(errs, p.fetch(ctx, []wanted{{name, was.version}}, "--reinstall"))
		default:
			errs = append(errs, p.fetch(ctx, []wanted{{name, was.version}}))
		}
	}
	// What was new may have stood in for another.
	if now, err = p.installed(ctx); err == nil {
		err = p.dropNew(ctx, before, now, changed)
	}
	return errors.Join(append(errs, err, p.remark(ctx, before, changed))...)
}

// dropNew removes the packages that were not there. dpkg does it without apt, which
// would first want to mend all else, and which removes what needs them.
func (p *packing) dropNew(ctx context.Context, before, now installed, changed []string) error {
	var names []string
	for _, name := range changed {
		if !had(before, name) && had(now, name) {
			names = append(names, name)
		}
	}
	if p.name != "apt" || len(names) == 0 {
		return p.drop(ctx, names)
	}
	if err := p.run(ctx, slices.Concat(p.dpkg("--force-remove-reinstreq", "--remove"), names)); err != nil {
		return fmt.Errorf("removing %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

// remark takes back which packages apt keeps for another's sake only.
func (p *packing) remark(ctx context.Context, before installed, changed []string) error {
	if p.name != "apt" {
		return nil
	}
	now, err := p.installed(ctx)
	if err != nil {
		return err
	}
	for mark, dependency := range map[string]bool{"auto": true, "manual": false} {
		var names []string
		for _, name := range changed {
			if it, ok := now[name]; ok && had(before, name) && before[name].dependency == dependency && it.dependency != dependency {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			err = errors.Join(err, p.run(ctx, p.beside("apt-mark", append([]string{mark}, names...)...)))
		}
	}
	return err
}

// settle goes back with apk. Whatever it is told, it makes the device as world says:
// so that is taken back first. As long as it names what cannot be installed, no
// removal ends well.
func (p *packing) settle(ctx context.Context, before, now installed, changed []string) error {
	text, err := os.ReadFile(p.file(oldWorld))
	if err != nil {
		return err
	}
	old, err := string(text), p.restoreWorld(string(text), p.touches(changed))
	if err != nil || len(changed) == 0 {
		return err
	}
	var pins []string
	for _, name := range changed {
		if was, had := before[name]; had && was.version != now[name].version {
			pins = append(pins, wanted{name, was.version}.String())
		}
	}
	err = p.run(ctx, slices.Concat(p.installing, pins))
	if err != nil && len(pins) > 0 {
		// What can be had comes back, whatever becomes of the others.
		for _, pin := range pins {
			_ = p.run(ctx, append(slices.Clone(p.installing), pin))
		}
	}
	return errors.Join(err, p.restoreWorld(old, p.touches(changed)))
}

// touches reports whether the step has made something of a name's entry in world.
func (p *packing) touches(changed []string) func(string) bool {
	mine := slices.Concat(changed, p.with.Remove, p.with.Upgrade.names)
	for _, w := range p.with.install {
		mine = append(mine, w.name)
	}
	return func(name string) bool { return slices.Contains(mine, name) }
}

func (p *packing) isBack(ctx context.Context, before installed, changed []string) error {
	now, err := p.installed(ctx)
	if err != nil {
		return err
	}
	for _, name := range changed {
		if differs(before, now, name) {
			return fmt.Errorf("%s is %s, and was %s before", name, told(now, name), told(before, name))
		}
	}
	return nil
}

func told(all installed, name string) string {
	it, ok := all[name]
	switch {
	case !ok:
		return "not installed"
	case it.unsound:
		return it.version + ", not configured"
	case it.dependency:
		return it.version + ", as a dependency"
	}
	return it.version
}
