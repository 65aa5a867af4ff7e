package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Download is the kind that brings a file from a URL. What has come stays
// beside the target across cuts, until the whole of it has the right sha256
// and takes the target's place. Undo removes it and restores what was.
type Download struct {
	Policy policy.Policy
	Client *http.Client // nil is one of its own, with the proxy of the environment
	Every  int64        // bytes between two checkpoints, at least; 0 is 4 MiB
	Files  safefile.Files
}

type downloadWith struct {
	URL    executor.Word `json:"url"`
	SHA256 string        `json:"sha256"`
	// Unverified takes what the server sends, which nobody has signed for: for
	// services whose documents know no digest. Then To may be a folder, in which
	// the file keeps its name.
	Unverified bool          `json:"unverified"`
	To         string        `json:"to"`
	Mode       string        `json:"mode"`
	Owner      string        `json:"owner"`
	Rate       executor.Size `json:"rate"`
	Headers    fetch.Headers `json:"headers"`
}

// Check implements executor.Kind.
func (k Download) Check(with json.RawMessage) error {
	w, err := parseDownload(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

// permits checks the step against the owner's policy, as far as it is filled in.
func (k Download) permits(w downloadWith) error {
	if !w.URL.Open {
		if err := k.Policy.URL(w.URL.S); err != nil {
			return err
		}
	}
	if err := k.Policy.ModeText(w.Mode); err != nil {
		return err
	}
	return k.Policy.Writable(w.To)
}

func parseDownload(with json.RawMessage) (w downloadWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := w.checkSource(); err != nil {
		return w, err
	}
	if err := safefile.CheckPath(w.To); err != nil {
		return w, fmt.Errorf("to: %w", err)
	}
	if err := w.Headers.Check(); err != nil {
		return w, err
	}
	return w, safefile.CheckAttrs(w.Mode, w.Owner)
}

// checkSource says why nothing can be fetched with these parameters, or nil.
func (w *downloadWith) checkSource() error {
	switch {
	case !w.Unverified:
		return fetch.CheckSource(w.URL, w.SHA256)
	case w.SHA256 != "":
		return errors.New("unverified: there is a sha256 to verify by")
	case !w.URL.Open && !fetch.IsURL(w.URL.S):
		return errors.New("url: want an address that begins with http:// or https:// and names a host")
	}
	return nil
}

// downloadState is a download's checkpoint.
type downloadState struct {
	Path  string           `json:"path"` // the target
	Fetch fetch.Checkpoint `json:"fetch"`
	Undo  safefile.Undo    `json:"undo"`
}

// downloading is one attempt at a download step.
type downloading struct {
	Download
	t     *executor.Task
	with  downloadWith
	path  string // with.To, its links followed
	state downloadState
}

func (k Download) begin(t *executor.Task) (*downloading, error) {
	with, err := parseDownload(t.With)
	if err != nil {
		return nil, err
	}
	s := &downloading{Download: k, t: t, with: with}
	if _, err := t.Load(&s.state); err != nil {
		return nil, err
	}
	if err := s.intoFolder(); err != nil {
		return nil, err
	}
	s.path, err = k.Policy.ToWrite(s.with.To)
	s.state.Path = s.path
	return s, err
}

// intoFolder gives the file its name in a folder that To may be.
func (s *downloading) intoFolder() error {
	info, err := os.Stat(s.with.To)
	if !s.with.Unverified || err != nil || !info.IsDir() {
		return nil
	}
	u, err := url.Parse(s.with.URL.S)
	if err != nil || path.Base(u.Path) == "/" || path.Base(u.Path) == "." {
		return fmt.Errorf("to: %s is a folder, and the url names no file", s.with.To)
	}
	s.with.To = filepath.Join(s.with.To, path.Base(u.Path))
	return nil
}

func (s *downloading) save() error { return s.t.Save(&s.state) }

// Run implements executor.Kind.
func (k Download) Run(ctx context.Context, t *executor.Task) error {
	ctx, cancel := t.Limit(ctx, fetch.Timeout)
	defer cancel()
	s, err := k.begin(t)
	if err != nil {
		return err
	}
	if err := k.permits(s.with); err != nil {
		return err
	}
	now, err := safefile.Stat(s.path)
	if err != nil {
		return err
	}
	want, err := safefile.AttrsFor(s.with.Mode, s.with.Owner, now)
	if err == nil {
		err = k.Policy.Mode(want.Rights())
	}
	if err != nil {
		return err
	}
	here, err := s.isHere(ctx, now)
	switch {
	case err != nil:
		return err
	case here:
		return s.adopt(ctx, now, want)
	}
	return s.bring(ctx, want)
}

// isHere reports whether the target has the wanted content already.
func (s *downloading) isHere(ctx context.Context, now safefile.Entry) (bool, error) {
	if now.Absent || s.with.Unverified {
		return false, nil
	}
	file, err := safefile.Open(s.path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || s.Policy.Size(info.Size()) != nil { // it is not what may come
		return false, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, safefile.Reader(ctx, file)); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == s.with.SHA256, nil
}

// adopt makes do with the content that is there. What is not as it shall be is
// written again: if it was somebody else's he could still change it.
func (s *downloading) adopt(ctx context.Context, now safefile.Entry, want safefile.Attrs) error {
	if err := s.Files.RemoveDurably(s.part()); err != nil {
		return err
	}
	if want.Covers(now.Attrs) {
		fmt.Fprintln(s.t.Output, "the file is there already")
		return s.Files.SyncExisting(s.path)
	}
	if err := s.state.Undo.Keep(s.Files, s.t.Dir, s.path, s.save); err != nil {
		return err
	}
	file, err := safefile.Open(s.path)
	if err != nil {
		return err
	}
	defer file.Close()
	return s.Files.Write(s.path, &vouched{safefile.Reader(ctx, file), sha256.New(), s.with.SHA256}, want)
}

// vouched ends with an error where the content is not the one it shall be.
type vouched struct {
	io.Reader
	sum  hash.Hash
	want string
}

func (v *vouched) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	v.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(v.sum.Sum(nil)) != v.want {
		err = errors.New("the file was changed while it was read: let the step retry")
	}
	return n, err
}

func (s *downloading) part() string { return safefile.Beside(s.path, "part") }

func (s *downloading) bring(ctx context.Context, want safefile.Attrs) error {
	if err := safefile.Replaceable(s.path); err != nil { // before the bytes are paid for
		return err
	}
	if err := s.state.Undo.MakeDirs(s.Files, s.path, s.save); err != nil {
		return err
	}
	at, err := s.fetch().Run(ctx)
	if err != nil {
		return err
	}
	s.state.Fetch = at
	if err := s.state.Undo.Keep(s.Files, s.t.Dir, s.path, s.save); err != nil {
		return err
	}
	return s.Files.Install(s.part(), s.path, want)
}

func (s *downloading) fetch() fetch.Download {
	return fetch.Download{
		URL: s.with.URL.S, Policy: s.Policy, SHA256: s.with.SHA256, Header: s.with.Headers.Filled(), Part: s.part(), Rate: int64(s.with.Rate),
		Every: s.Every, Boot: s.t.Boot, Client: s.Client, Files: s.Files, From: s.state.Fetch,
		Save: func(c fetch.Checkpoint) error {
			s.state.Fetch = c
			return s.save()
		},
		Progress: s.t.Progress, Stopping: s.t.Stopping, Note: s.t.Output,
	}
}

// Undo implements executor.Undoer. It needs no parameters: nothing was written
// before it was saved where.
func (k Download) Undo(_ context.Context, t *executor.Task) error {
	var s downloadState
	if found, err := t.Load(&s); !found || err != nil {
		return err
	}
	if err := k.Files.RemoveDurably(safefile.Beside(s.Path, "part")); err != nil {
		return err
	}
	return s.Undo.Restore(k.Files, t.Dir)
}

// Describe implements executor.Describer.
func (k Download) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	return executor.Description{
		Places: map[string]executor.Place{"url": executor.One, "headers": executor.Values},
		Does:   fmt.Sprintf("fetches %s to %s; kept only if its sha256 is right", p.Text("url"), p.Text("to")),
		Cut:    "it goes on at the byte where it was; what lies there is never half",
		Undo:   "what was there before is put back, or the file is removed",
		Limit:  "given up after 5m without a byte, and after 24h",
	}
}
