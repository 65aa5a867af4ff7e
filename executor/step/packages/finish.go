package packages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ratchetd/ratchet/executor"
)

// finish finishes what was left half done. What cannot be is told and left: it may
// be another's package, and whether this step can do its work shows its result.
func (p *packing) finish(ctx context.Context, now installed) error {
	if len(p.repair) == 0 {
		return nil
	}
	tell := func(err error) error {
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, executor.ErrStopped) {
			return err
		}
		fmt.Fprintf(p.t.Output, "what was cut cannot be finished: %v\n", err)
		return nil
	}
	if p.name == "opkg" && !slices.ContainsFunc(slices.Collect(maps.Values(now)), func(it found) bool { return it.unsound }) {
		return nil
	}
	if err := tell(p.run(ctx, p.repair)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if !now[name].bad {
			continue
		}
		if err := tell(p.again(ctx, name, now[name])); err != nil {
			return err
		}
	}
	return nil
}

// again has dpkg unpack a package again whose unpacking was cut, or takes away one
// that is to go. dpkg does nothing else with it, and apt nothing with any other.
func (p *packing) again(ctx context.Context, name string, it found) error {
	if slices.ContainsFunc(p.with.Remove, func(named string) bool { return p.key(named) == name }) {
		return p.run(ctx, p.dpkg("--force-remove-reinstreq", "--remove", name))
	}
	err := p.run(ctx, append(p.manager.with(p.installing, "--reinstall"), wanted{name, it.version}.String()))
	if err != nil { // in that version it is no longer to be had
		err = p.run(ctx, append(p.manager.with(p.installing, "--reinstall"), name))
	}
	return err
}
