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
func (p *packing) keep(now versions) error {
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
func (p *packing) keepAfter(now versions) error {
	if !safefile.Exists(p.file(listBefore)) {
		return nil
	}
	return p.writeList(listAfter, now)
}

func (p *packing) writeList(name string, v versions) error {
	var text strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(v)) {
		fmt.Fprintf(&text, "%s %s\n", pkg, v[pkg])
	}
	return p.Write(p.file(name), text.String(), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
}

func (p *packing) Write(path, text string, a safefile.Attrs) error {
	return p.Files.Write(path, strings.NewReader(text), a)
}

// readList reads a list; nil when there is none.
func (p *packing) readList(name string) (versions, error) {
	text, err := os.ReadFile(p.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	v := versions{}
	for line := range strings.Lines(string(text)) {
		pkg, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		v[pkg] = version
	}
	return v, err
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
	if len(p.repair) > 0 {
		if err := p.run(ctx, p.repair); err != nil {
			return fmt.Errorf("finishing an installation that was cut: %w", err)
		}
	}
	now, err := p.installed(ctx)
	if err != nil {
		return err
	}
	changed, err := p.changed(before, now)
	if err != nil {
		return err
	}
	return p.goBack(ctx, before, now, changed)
}

// changed lists the packages that this step has touched. One that was cut has
// not written down where it ended: it is what is different now.
func (p *packing) changed(before, now versions) (names []string, err error) {
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
		if before[name] != after[name] {
			names = append(names, name)
		}
	}
	return names, nil
}

func (p *packing) goBack(ctx context.Context, before, now versions, changed []string) error {
	var remove []string
	var install []wanted
	for _, name := range changed {
		old, had := before[name]
		_, has := now[name]
		switch {
		case has && !had:
			remove = append(remove, name)
		case had && now[name] != old:
			install = append(install, wanted{name, old})
		}
	}
	if err := p.drop(ctx, remove); err != nil {
		return err
	}
	// One by one: a version that is no longer to be had must not keep the
	// others from coming back.
	var errs []error
	for _, w := range install {
		errs = append(errs, p.fetch(ctx, []wanted{w}))
	}
	return errors.Join(append(errs, p.oldWorld(), safefile.SyncDisk("/"), p.isBack(ctx, before, changed))...)
}

// oldWorld takes back the exact versions that apk was told to keep.
func (p *packing) oldWorld() error {
	if p.name != "apk" {
		return nil
	}
	old, err := os.ReadFile(p.file(oldWorld))
	if err != nil {
		return err
	}
	world, err := safefile.Resolve(p.world())
	if err != nil {
		return err
	}
	now, err := safefile.Stat(world)
	if err != nil {
		return err
	}
	return p.Write(world, string(old), now.Attrs)
}

func (p *packing) isBack(ctx context.Context, before versions, changed []string) error {
	now, err := p.installed(ctx)
	if err != nil {
		return err
	}
	for _, name := range changed {
		if now[name] != before[name] {
			return fmt.Errorf("%s is %s, and was %s before", name, told(now[name]), told(before[name]))
		}
	}
	return nil
}

func told(version string) string {
	if version == "" {
		return "not installed"
	}
	return version
}
