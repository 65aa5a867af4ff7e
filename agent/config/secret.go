package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
)

// Secrets are the secrets of this device: those in the folder beside its
// configuration, and what the link logs in with. Their forms, which take longer to
// make out than they to read, are kept until they change.
type Secrets struct {
	config *Current

	mu   sync.Mutex
	of   []string
	made redact.Secrets
}

// NewSecrets are those of the configuration in force.
func NewSecrets(c *Current) *Secrets { return &Secrets{config: c} }

// Read reads a secret of this device, for the step that names it.
func (s *Secrets) Read(name string) (string, error) {
	dir := s.config.Load().secretsDir()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("secret: there is no file %s in %s", name, dir)
	}
	if err := secretFile("secret", filepath.Join(dir, name)); err != nil {
		return "", err
	}
	if len(text) > executor.MaxOutput {
		return "", fmt.Errorf("secret: %s has %d bytes: at most %d are taken", name, len(text), executor.MaxOutput)
	}
	return strings.TrimRight(string(text), "\r\n"), err
}

func (c *Config) secretsDir() string { return filepath.Join(filepath.Dir(c.path), "secrets") }

// Hide hides every secret of this device in text.
func (s *Secrets) Hide(text string) string { return s.known().Hide(text) }

// known are the secrets as they are now.
func (s *Secrets) known() redact.Secrets {
	of := s.config.Load().secretTexts()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(of, s.of) {
		s.of, s.made = of, redact.New(of)
	}
	return s.made
}

// HideLines hides them in lines of JSON, such as what a program made of a log.
func (s *Secrets) HideLines(lines []byte) []byte {
	out, known := make([]byte, 0, len(lines)), s.known()
	for line := range bytes.Lines(lines) {
		hid := redact.JSON(line, known.Hide)
		out = append(append(out, bytes.TrimSuffix(hid, []byte("\n"))...), '\n')
	}
	return out
}

// secretTexts are the texts in the secrets' folder and in all other files of secrets.
func (c *Config) secretTexts() (texts []string) {
	read := func(path string, most int64) {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not be waited for
		if err != nil {
			return // there is none
		}
		defer f.Close()
		if text, err := io.ReadAll(io.LimitReader(f, most+1)); err == nil && int64(len(text)) <= most {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
	files, _ := os.ReadDir(c.secretsDir()) // none: nothing to hide
	for _, f := range files {
		read(filepath.Join(c.secretsDir(), f.Name()), executor.MaxOutput)
	}
	for _, path := range c.secretPaths() {
		read(path, 64<<10)
	}
	return texts
}

// Files of the link beside ratchet.toml, where enroll and jobs put them.
const (
	LinkPassword = "link.password"
	LinkSAS      = "link.sas"
	LinkCA       = "link.ca"
	LinkCert     = "link.crt"
	LinkKey      = "link.key"
	LinkCSR      = "link.csr"
)

// CertFiles are where the link's certificate and its key lie. Where the link has
// none yet they lie where settings that come behind can name them.
func (c *Config) CertFiles() (cert, key string) {
	return cmp.Or(c.Link.Cert, filepath.Join(c.dir, LinkCert)), cmp.Or(c.Link.Key, filepath.Join(c.dir, LinkKey))
}

// PendingKey is where a key lies whose certificate has not come yet.
func (c *Config) PendingKey() string { return filepath.Join(c.State, "pending.key") }

// NamesPassword reports whether a file of the configuration names that one for the
// password of the link.
func (c *Config) NamesPassword(file string) bool { return slices.Contains(c.passwords, file) }

// secretPaths are all files that hold a secret of the link: those that are
// named, and those that an enrolment or a job has left where they could be.
func (c *Config) secretPaths() []string {
	_, key := c.CertFiles()
	paths := []string{key, c.PendingKey()}
	for _, name := range []string{LinkKey, LinkPassword, LinkSAS} {
		paths = append(paths, filepath.Join(c.dir, name))
	}
	return append(paths, c.secretFiles...)
}
