// Package upload is the kind of step that sends files to a URL.
package upload

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/inputs"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that sends files to a URL. One that is named by its path
// goes as it is; globs and several go as one tar.gz, however many they match
// today. It has no undo: what a server has taken it keeps. Run again, it sends
// again.
type Kind struct {
	Policy policy.Policy
	Client *http.Client  // nil is one of its own, with the proxy of the environment
	Stall  time.Duration // without a byte it fails after this; 0 is 5 minutes
	Files  safefile.Files
}

type uploadWith struct {
	Paths   []string      `json:"paths"`
	URL     executor.Word `json:"url"`
	Method  string        `json:"method"`
	Headers fetch.Headers `json:"headers"`
	Name    string        `json:"name"`
}

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := parseUpload(with)
	if err != nil || w.URL.Open {
		return err
	}
	return k.Policy.URL(w.URL.S)
}

func parseUpload(with json.RawMessage) (w uploadWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := inputs.CheckPatterns(w.Paths); err != nil {
		return w, fmt.Errorf("paths: %w", err)
	}
	switch w.Method {
	case "":
		w.Method = http.MethodPut
	case http.MethodPut, http.MethodPost:
	default:
		return w, fmt.Errorf("method: %q: want PUT or POST", w.Method)
	}
	if w.Name != "" && (safefile.CheckName(w.Name) != nil || len(w.Name) > 255) {
		return w, fmt.Errorf("name: %q: want a plain name, without / and blanks", w.Name)
	}
	if !w.URL.Open {
		if _, err := w.target(""); err != nil {
			return w, err
		}
	}
	return w, w.Headers.Check()
}

// target is where to send what is called name, unless the step says how to
// call it.
func (w *uploadWith) target(name string) (string, error) {
	u, err := url.Parse(w.URL.S)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("url: want an http or https address")
	}
	if w.Name != "" {
		name = w.Name
	}
	switch {
	case strings.HasSuffix(u.Path, "/"):
		u = u.JoinPath(name)
	case w.Name != "":
		return "", errors.New("name: goes with a url that ends in a slash: else the url is the whole name")
	}
	return u.String(), nil
}

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	w, err := parseUpload(t.With)
	if err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, fetch.Timeout)
	defer cancel()
	ctx, resume := executor.UntilStop(ctx, t.Stopping)
	defer resume(nil)
	files, err := inputs.Choose(k.Policy, w.Paths, t.Output)
	if err != nil {
		return fmt.Errorf("paths: %w", err)
	}
	if len(w.Paths) == 1 && !inputs.IsGlob(w.Paths[0]) {
		return k.send(ctx, t, w, files[0], filepath.Base(files[0].Path), 1)
	}
	return k.sendAll(ctx, t, w, files)
}

// sendAll sends several files as one.
func (k Kind) sendAll(ctx context.Context, t *executor.Task, w uploadWith, files []inputs.File) error {
	if err := k.Files.MakeTaskDir(t.Dir); err != nil {
		return fmt.Errorf("making room for the archive: %w", err)
	}
	path := filepath.Join(t.Dir, "archive")
	size, err := k.pack(ctx, path, files)
	real, unknown := safefile.Resolve(path)
	if err = errors.Join(err, unknown); err == nil {
		all := inputs.File{Path: path, Real: real, Size: size}
		err = k.send(ctx, t, w, all, t.Job+".tar.gz", len(files))
	}
	return errors.Join(err, k.Files.Remove(path))
}

// send sends one file and tells what it was.
func (k Kind) send(ctx context.Context, t *executor.Task, w uploadWith, file inputs.File, name string, files int) error {
	to, err := w.target(name)
	if err == nil {
		err = k.Policy.URL(to)
	}
	if err != nil {
		return err
	}
	u := &upload{Kind: k, t: t, with: w, to: to, file: file}
	if err := u.digest(ctx); err != nil {
		return fmt.Errorf("reading %s: %w", file.Path, err)
	}
	if err := k.Policy.Size(u.size); err != nil {
		return err
	}
	if err := u.loop(ctx); err != nil {
		return err
	}
	t.Result, err = json.Marshal(map[string]any{"files": files, "bytes": u.size, "sha256": hex.EncodeToString(u.sum)})
	return err
}
