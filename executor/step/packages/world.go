package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// wantedByWorld marks what apk keeps only because another needs it.
func (p *packing) wantedByWorld(all installed) (installed, error) {
	entries, err := p.readWorld()
	if err != nil {
		return nil, err
	}
	for name, it := range all {
		_, wanted := entries[name]
		it.dependency = !wanted
		all[name] = it
	}
	return all, nil
}

// readWorld is what apk is to keep installed: an entry, such as web=1.0-r1, for each name.
func (p *packing) readWorld() (map[string]string, error) {
	text, err := os.ReadFile(p.world())
	if err != nil {
		return nil, fmt.Errorf("reading what apk is to keep installed: %w", err)
	}
	return worldOf(string(text)), nil
}

func worldOf(text string) map[string]string {
	entries := map[string]string{}
	for entry := range strings.FieldsSeq(text) {
		entries[entryName(entry)] = entry
	}
	return entries
}

// entryName is the name in web=1.0-r1, web><Q1hash, web~1, web@edge, !web.
func entryName(entry string) string {
	if i := strings.IndexAny(entry, "=<>~@"); i > 0 {
		return entry[:i]
	}
	return entry
}

// pinned reports whether an entry admits but some versions of its package.
func pinned(entry string) bool { return strings.ContainsAny(entry, "=<>~") }

// releasing are the command lines that upgrade names with apk, or all when there
// are none. `apk upgrade` leaves alone what world pins, and `apk add --upgrade`
// would make wanted what is not.
func (p *packing) releasing(names []string) (argvs [][]string) {
	entries, _ := p.readWorld()
	var free, bound []string
	for _, name := range names {
		entry := entries[name]
		if !pinned(entry) {
			free = append(free, name)
			continue
		}
		if _, tag, ok := strings.Cut(entry, "@"); ok {
			name += "@" + tag
		}
		fmt.Fprintf(p.t.Output, "%s is pinned no longer: %s said %s\n", name, p.world(), entry)
		bound = append(bound, name)
	}
	if len(bound) > 0 {
		argvs = append(argvs, append(p.manager.with(p.installing, "--upgrade"), bound...))
	}
	if len(free) > 0 || len(names) == 0 {
		argvs = append(argvs, append(slices.Clone(p.upgrading), free...))
	}
	return argvs
}

// changeWorld is change. What apk could not install its world names all the same:
// every later command would try it again, and fail.
func (p *packing) changeWorld(ctx context.Context, argv []string, agent bool) error {
	if p.name != "apk" {
		return p.change(ctx, argv, agent)
	}
	old, err := os.ReadFile(p.world())
	if err != nil {
		return fmt.Errorf("reading what apk is to keep installed: %w", err)
	}
	err = p.change(ctx, argv, agent)
	if err == nil || errors.Is(err, executor.ErrStopped) {
		return err
	}
	return errors.Join(err, p.restoreWorld(string(old), func(string) bool { return true }))
}

// rewritten is world with the entries of mine as they were in old, and all others
// as they are now.
func rewritten(old, now string, mine func(name string) bool) string {
	entries := slices.DeleteFunc(strings.Fields(old), func(entry string) bool { return !mine(entryName(entry)) })
	for entry := range strings.FieldsSeq(now) {
		if !mine(entryName(entry)) {
			entries = append(entries, entry)
		}
	}
	slices.Sort(entries)
	if was := strings.Fields(old); slices.Equal(entries, slices.Sorted(slices.Values(was))) {
		return old
	}
	return strings.Join(append(entries, ""), "\n")
}

// restoreWorld takes back what was made of the entries of these packages. It writes
// only what has changed: on a full disk the next write may be the one that fails.
func (p *packing) restoreWorld(old string, mine func(name string) bool) error {
	world, err := safefile.Resolve(p.world())
	if err != nil {
		return err
	}
	now, err := os.ReadFile(world)
	if err != nil {
		return err
	}
	want := rewritten(old, string(now), mine)
	if want == string(now) {
		return nil
	}
	info, err := safefile.Stat(world)
	if err != nil {
		return err
	}
	if err := p.Write(world, want, info.Attrs); err != nil {
		return fmt.Errorf("taking back what apk is to keep installed: %w", err)
	}
	return nil
}
