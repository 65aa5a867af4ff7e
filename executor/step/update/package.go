package update

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/updater"
)

// owner is the package that the agent's binary belongs to, or "".
func (u *updating) owner(ctx context.Context) (string, error) {
	// Where /usr/bin and /bin are one, a package may know the file by either name.
	name, err := u.Package.Owner(ctx, u.t, u.path, strings.TrimPrefix(u.path, "/usr"))
	if err != nil {
		return "", fmt.Errorf("asking which package the agent belongs to: %w", err)
	}
	return name, nil
}

// upgrade lets the package manager do it. Its scripts may start the agent again;
// where they do not, this does.
func (u *updating) upgrade(ctx context.Context) error {
	if u.Version == u.state.To.Version {
		return u.say()
	}
	fmt.Fprintf(u.t.Output, "the agent belongs to package %s: its manager is asked for the new version (force: true puts the binary in its place)\n", u.state.Package)
	if err := u.save(); err != nil {
		return err
	}
	if err := u.Package.Run(ctx, u.packageTask()); err != nil {
		return fmt.Errorf("package %s: %w", u.state.Package, err)
	}
	return u.follow(ctx, fmt.Errorf("package %s has no version %s to upgrade to: publish it, or use force: true", u.state.Package, u.state.To.Version))
}

// follow starts the agent again where another binary lies at its path by now.
func (u *updating) follow(ctx context.Context, same error) error {
	sum, err := updater.Digest(u.path)
	switch {
	case err != nil:
		return err
	case sum != u.running:
		return u.restart(ctx)
	}
	return same
}

// downgrade takes back what the package manager did, and runs what is there then.
func (u *updating) downgrade(ctx context.Context) error {
	if err := u.Package.Undo(ctx, u.packageTask()); err != nil {
		return err
	}
	return u.follow(ctx, nil)
}

// packageTask is the task of upgrading the agent's package.
func (u *updating) packageTask() *executor.Task {
	t := *u.t
	t.With, _ = json.Marshal(map[string]any{"upgrade": []string{u.state.Package}, "refresh": true}) // a text and a truth
	return &t
}
