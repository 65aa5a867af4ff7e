package step

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/updater"
)

// owns prints which package a file belongs to; packageIn reads its name.
func (m manager) owns(k Package, path string) []string {
	switch m.name {
	case "opkg":
		return argvWith(k.Opkg, "opkg")("search", path)
	case "apk":
		return argvWith(k.Apk, "apk")("info", "--quiet", "--who-owns", path)
	}
	return argvWith(k.DpkgQuery, "dpkg-query")("--search", path)
}

// packageIn is the package that the answer to owns names, or "".
func (m manager) packageIn(said string) string {
	line, _, _ := strings.Cut(said, "\n")
	switch m.name {
	case "opkg": // ratchetd - 1.0-1
		name, _, _ := strings.Cut(line, " - ")
		return name
	case "apk": // ratchetd, or ratchetd-1.0-r1 of an older apk
		if parts := apkLine.FindStringSubmatch(line); parts != nil {
			return parts[1]
		}
		return line
	}
	name, _, _ := strings.Cut(line, ":") // ratchetd: /usr/bin/ratchetd
	return name
}

// owner is the package that the agent's binary belongs to, or "".
func (u *updating) owner(ctx context.Context) (string, error) {
	m, err := u.Package.manager("")
	if err != nil {
		return "", nil // a device without packages
	}
	// Where /usr/bin and /bin are one, a package may know the file by either name.
	for _, path := range []string{u.path, strings.TrimPrefix(u.path, "/usr")} {
		var said bytes.Buffer
		x := process.Tool{Argv: m.owns(u.Package, path), Stdout: &said}
		status, err := x.Status(ctx, u.t, u.Groups, &bytes.Buffer{})
		if err != nil {
			return "", fmt.Errorf("asking which package the agent belongs to: %w", err)
		}
		if name := strings.TrimSpace(m.packageIn(said.String())); status == 0 && packageForm.MatchString(name) {
			return name, nil
		}
	}
	return "", nil
}

// upgrade lets the package manager do it. Its scripts may start the agent anew;
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

// follow starts the agent anew where another binary lies at its path by now.
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
