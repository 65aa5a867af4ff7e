package updater

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// A mender drives Mender's client standalone: its daemon must not run beside it.
type mender struct{ *Board }

// client is the program: of version 4 and later, or the one before.
func (b mender) client() string {
	return cmp.Or(b.program("mender-update"), b.program("mender"))
}

func (b mender) found() bool {
	return b.client() != "" && b.device() != ""
}

func (b mender) device() string {
	return b.variables("/var/lib/mender/device_type")["device_type"]
}

// nothingToCommit is the status with which commit and rollback say that no
// update is in progress.
const nothingToCommit = 2

func (b mender) backend(context.Context) (*Backend, error) {
	return &Backend{
		Name: "mender", Slots: true,
		State: b.state, Install: b.install,
		Confirm: func(ctx context.Context) error { return b.end(ctx, "commit") },
		Rollback: func(ctx context.Context, _ string) error {
			return b.end(ctx, "rollback")
		},
	}, nil
}

// state adds the artifact's name to what the system itself says: before the commit
// the client may still name the old one.
func (b mender) state(ctx context.Context) (System, error) {
	out, err := b.ask(ctx, b.client(), "show-artifact")
	if err != nil {
		return System{}, err
	}
	own := b.system()
	versions := names(nil).add(b.variables("/etc/mender/artifact_info")["artifact_name"]).add(lastLine(out))
	for _, v := range own.Versions {
		versions = versions.add(v)
	}
	return System{Versions: versions, Boards: append([]string{b.device()}, own.Boards...), Slot: own.Slot}, nil
}

// install first takes back what an earlier attempt has left uncommitted: until then
// Mender begins no other.
func (b mender) install(ctx context.Context, i Image, progress func(float64)) error {
	if err := b.end(ctx, "rollback"); err != nil {
		return err
	}
	_, err := b.do(ctx, Call{Argv: []string{b.client(), "install", i.Path}, Line: func(line string) {
		percent(line, progress)
	}})
	return err
}

// end commits or rolls back. Called again it finds nothing in progress.
func (b mender) end(ctx context.Context, verb string) error {
	a, err := b.Run(ctx, Call{Argv: []string{b.client(), verb}})
	if err == nil && a.Code != 0 && a.Code != nothingToCommit {
		err = fmt.Errorf("exit status %d: %s", a.Code, a.Said)
	}
	if err != nil {
		return fmt.Errorf("mender %s: %w", verb, err)
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
