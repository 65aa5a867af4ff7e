package packages

import (
	"bytes"
	"context"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// Owner is the package that the file at one of these paths belongs to, or "".
func (k Kind) Owner(ctx context.Context, t *executor.Task, paths ...string) (string, error) {
	m, err := k.manager(packageWith{})
	if err != nil {
		return "", nil // a device without packages
	}
	for _, path := range paths {
		var said bytes.Buffer
		x := process.Tool{Argv: m.owns(k, path), Stdout: &said}
		status, err := x.Status(ctx, t, k.Groups, &bytes.Buffer{})
		if err != nil {
			return "", err
		}
		if name := strings.TrimSpace(m.packageIn(said.String())); status == 0 && packageForm.MatchString(name) {
			return name, nil
		}
	}
	return "", nil
}

// owns prints which package a file belongs to; packageIn reads its name.
func (m manager) owns(k Kind, path string) []string {
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
