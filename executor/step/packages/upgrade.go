package packages

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/process"
)

// refreshed fetches the lists of what can be had. A source that is dead is an
// error, also where the manager takes it for a warning.
func (p *packing) refreshed(ctx context.Context) error {
	said := newWords()
	if err := p.patiently(ctx, p.refresh, said.stdout(p.t.Output), said); err != nil {
		return err
	}
	for _, sign := range []string{"WARNING: opening", "WARNING: updating and opening", "WARNING: Ignoring", "Signature check failed", "Failed to download", "W: Failed to fetch", "index files failed"} {
		if strings.Contains(said.String(), sign) {
			return fmt.Errorf("%s ended well, but: %s", p.name, reason(said))
		}
	}
	return nil
}

// claim makes packages wanted that are there for another's sake.
func (p *packing) claim(ctx context.Context, list []wanted) error {
	if len(list) == 0 || p.name == "apk" {
		return p.fetch(ctx, list)
	}
	var names []string
	for _, w := range list {
		names = append(names, w.name)
	}
	if err := p.run(ctx, p.beside("apt-mark", append([]string{"manual"}, names...)...)); err != nil {
		return fmt.Errorf("keeping %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

// renew upgrades. It may reach the agent's own package.
func (p *packing) renew(ctx context.Context) error {
	asked := p.with.Upgrade.names
	stays, err := p.behind(ctx, asked)
	if err != nil {
		return err
	}
	names := slices.Clone(asked)
	for _, s := range stays {
		switch {
		case s.pin != "" && !p.releases(asked):
			return s.refusal()
		case len(asked) == 0 && p.name == "opkg":
			names = append(names, s.name)
		}
	}
	if p.name == "opkg" && len(names) == 0 {
		return nil
	}
	agent := p.with.Upgrade.all || slices.ContainsFunc(names, process.IsAgent)
	for _, argv := range p.upgradeArgvs(names) {
		err := p.spares(ctx, argv, nil)
		if err == nil {
			err = p.changeWorld(ctx, argv, agent)
		}
		if err == nil {
			continue
		}
		err = fmt.Errorf("upgrading %s: %w", strings.Join(names, " "), err)
		if !p.renewed(ctx, asked) {
			return err
		}
		fmt.Fprintf(p.t.Output, "all is as the step says, though %v\n", err)
	}
	stays, err = p.behind(ctx, asked)
	if err != nil || len(stays) == 0 {
		return err
	}
	return stays[0].refusal()
}

// sayCurrent names what of an upgrade had nothing newer.
func (p *packing) sayCurrent(before, now installed) {
	for _, name := range p.with.Upgrade.names {
		if key := p.key(name); before[key].version == now[key].version {
			fmt.Fprintf(p.t.Output, "%s %s: nothing newer can be had\n", name, now[key].version)
		}
	}
}

// renewed reports whether all is upgraded although opkg or apt failed, as they do
// for another's package that cannot be configured.
func (p *packing) renewed(ctx context.Context, asked []string) bool {
	if p.name == "apk" || ctx.Err() != nil || len(asked) == 0 {
		return false
	}
	stays, err := p.behind(ctx, asked)
	now, asking := p.installed(ctx)
	return err == nil && asking == nil && len(stays) == 0 &&
		!slices.ContainsFunc(asked, func(name string) bool { return now[p.key(name)].unsound })
}

// releases reports whether the upgrade takes a pin away: of what is named apk does.
func (p *packing) releases(asked []string) bool { return p.name == "apk" && len(asked) > 0 }

// upgradeArgvs are the command lines that upgrade names, or all when there are none.
func (p *packing) upgradeArgvs(names []string) [][]string {
	switch {
	case p.name == "apt" && len(names) > 0:
		return [][]string{append(p.manager.with(p.installing, "--only-upgrade"), names...)}
	case p.name == "apk":
		return p.releasing(names)
	}
	return [][]string{append(slices.Clone(p.upgrading), names...)}
}

// A straggler is a package of which a newer version can be had.
type straggler struct{ name, now, newer, pin string }

func (s straggler) refusal() error {
	why := "its manager keeps it back: see its output"
	if s.pin != "" {
		why = s.pin
	}
	return fmt.Errorf("upgrading: %s stays at %s, though %s can be had: %s", s.name, s.now, s.newer, why)
}

// behind lists which of names, or of all packages when there are none, are older
// than what can be had. That none can be had of a name at all is an error.
func (p *packing) behind(ctx context.Context, names []string) ([]straggler, error) {
	now, err := p.installed(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch feeds, err := p.feeds(ctx, name); {
		case err != nil:
			return nil, err
		case len(feeds) == 0:
			return nil, fmt.Errorf("upgrading: no source has %s: refresh: true fetches the lists", name)
		}
	}
	if p.name == "apt" {
		return p.aptBehind(ctx, now, names)
	}
	argv := argvWith(p.Opkg, "opkg")("list-upgradable")
	if p.name == "apk" {
		argv = argvWith(p.Apk, "apk")("list", "--upgradable")
	}
	said, err := p.ask(ctx, argv)
	if err != nil {
		return nil, fmt.Errorf("asking what can be upgraded: %w", err)
	}
	var all []straggler
	for line := range strings.Lines(said) {
		s := p.straggler(line)
		if it, ok := now[s.name]; ok && (len(names) == 0 || slices.Contains(names, s.name)) {
			s.now, s.pin = it.version, p.pin(s.name, it)
			all = append(all, s)
		}
	}
	return all, nil
}

// straggler reads a line of what can be upgraded.
func (p *packing) straggler(line string) straggler {
	if p.name == "apk" {
		if m := apkLine.FindStringSubmatch(line); m != nil {
			return straggler{name: m[1], newer: m[2]}
		}
		return straggler{}
	}
	if f := strings.Split(strings.TrimSpace(line), " - "); len(f) == 3 {
		return straggler{name: f[0], newer: f[2]}
	}
	return straggler{}
}

// pin is what keeps a package at its version, or "".
func (p *packing) pin(name string, it found) string {
	if p.name == "apk" {
		entries, _ := p.readWorld()
		if entry := entries[name]; pinned(entry) {
			return fmt.Sprintf("%s pins it (%s): name it in upgrade, which releases it", p.world(), entry)
		}
	}
	if it.hold {
		return "it is on hold"
	}
	return ""
}

// feeds lists the versions of a package that its sources have.
func (p *packing) feeds(ctx context.Context, name string) (found []string, err error) {
	switch p.name {
	case "opkg":
		said, err := p.ask(ctx, argvWith(p.Opkg, "opkg")("info", name))
		for stanza := range strings.SplitSeq(said, "\n\n") {
			if f := fields(stanza); f["Package"] == name && f["Filename"] != "" {
				found = append(found, f["Version"])
			}
		}
		return found, err
	case "apk":
		said, err := p.ask(ctx, argvWith(p.Apk, "apk")("policy", name))
		return policyOf(said, "lib/apk/db/installed").versions(), err
	}
	said, err := p.ask(ctx, p.beside("apt-cache", "policy", name))
	for _, of := range aptPolicies(said) {
		found = append(found, of.versions()...)
	}
	return found, err
}

// newest checks that a version is the newest of those: opkg takes no other.
func (p *packing) newest(ctx context.Context, w wanted, feeds []string) error {
	for _, other := range feeds {
		if other == w.version {
			continue
		}
		x := process.Tool{Argv: argvWith(p.Opkg, "opkg")("compare-versions", other, ">>", w.version), Env: p.environment()}
		status, err := x.Status(ctx, p.t, p.Groups, p.t.Err)
		if err != nil {
			return err
		}
		if status.ExitStatus() == 0 {
			return fmt.Errorf("installing %s: the feeds have %s, and opkg installs only the newest", w, strings.Join(feeds, ", "))
		}
	}
	return nil
}

// A policy is which versions of a package its sources have, the newest first.
type policy struct {
	name, installed, candidate string
	table                      []choice
}

type choice struct {
	version  string
	priority int
	sources  int // but for what is installed
	phased   bool
}

func (o policy) versions() (all []string) {
	for _, c := range o.table {
		if c.sources > 0 {
			all = append(all, c.version)
		}
	}
	return all
}

// policyOf reads what `apk policy` says of one package.
func policyOf(said, own string) (o policy) {
	for line := range strings.Lines(said) {
		text := strings.TrimSpace(line)
		switch indent := len(line) - len(strings.TrimLeft(line, " ")); {
		case indent == 2:
			o.table = append(o.table, choice{version: strings.TrimSuffix(text, ":")})
		case indent > 2 && len(o.table) > 0 && !strings.HasSuffix(text, own):
			o.table[len(o.table)-1].sources++
		}
	}
	return o
}

// aptPolicies reads what `apt-cache policy` says of several.
func aptPolicies(said string) (all []policy) {
	for line := range strings.Lines(said) {
		f := strings.Fields(strings.TrimPrefix(line, " ***"))
		indent := len(line) - len(strings.TrimLeft(line, " *"))
		switch {
		case len(f) == 0:
		case indent == 0:
			all = append(all, policy{name: strings.TrimSuffix(f[0], ":")})
		case len(all) == 0:
		default:
			all[len(all)-1].take(indent, f)
		}
	}
	return all
}

// take reads a line of a policy of apt's.
func (o *policy) take(indent int, f []string) {
	switch {
	case f[0] == "Installed:":
		o.installed = f[1]
	case f[0] == "Candidate:":
		o.candidate = f[1]
	case indent == 5 && len(f) >= 2:
		priority, _ := strconv.Atoi(f[1])
		o.table = append(o.table, choice{version: f[0], priority: priority, phased: strings.Contains(strings.Join(f, " "), "(phased")})
	case indent > 5 && len(o.table) > 0 && !strings.HasSuffix(f[len(f)-1], "/dpkg/status"):
		o.table[len(o.table)-1].sources++
	}
}

// aptBehind is behind for apt. A newer version that apt would not choose counts
// where a pin says so, and not where its source is one to choose from by name,
// as backports are.
func (p *packing) aptBehind(ctx context.Context, now installed, names []string) (all []straggler, err error) {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(now))
	}
	said, err := p.ask(ctx, p.beside("apt-cache", append([]string{"policy"}, names...)...))
	if err != nil {
		return nil, fmt.Errorf("asking what can be upgraded: %w", err)
	}
	for _, of := range aptPolicies(said) {
		it := now[p.key(of.name)]
		for _, c := range of.table {
			if c.version == of.installed {
				break
			}
			pin := p.pin(of.name, it)
			if of.candidate == of.installed {
				pin = "apt's preferences pin it"
			}
			if !c.phased && (c.version == of.candidate || of.candidate == of.installed && (c.priority < 0 || c.priority >= 500)) {
				all = append(all, straggler{of.name, of.installed, c.version, pin})
				break
			}
		}
	}
	return all, nil
}
