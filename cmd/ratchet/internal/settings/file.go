// Package settings is the operator's own configuration: brokers by name, in
// ~/.config/ratchet/config.toml. It connects to none of them.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
	"github.com/ratchetd/ratchet/executor"
)

// A Context is how to reach one broker. All but Broker may be empty.
type Context struct {
	Broker          string   `toml:"broker" json:"broker"`
	Username        string   `toml:"username" json:"username,omitempty"`
	PasswordFile    string   `toml:"passwordFile" json:"passwordFile,omitempty"`
	PasswordCommand []string `toml:"passwordCommand" json:"passwordCommand,omitempty"` // prints the password
	CA              string   `toml:"ca" json:"ca,omitempty"`
	Cert            string   `toml:"cert" json:"cert,omitempty"`
	Key             string   `toml:"key" json:"key,omitempty"`
	Root            string   `toml:"root" json:"root,omitempty"`
}

// A File is the configuration as it was read.
type File struct {
	Path     string
	Current  string             `toml:"current"` // the name of the context that counts where none is named
	Contexts map[string]Context `toml:"contexts"`
}

// Path is where the configuration lies: RATCHET_CONFIG, or config.toml in the
// folder ratchet of the user's configuration.
func Path() (string, error) {
	if path := os.Getenv("RATCHET_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the configuration (%w): say one with RATCHET_CONFIG", err)
	}
	return filepath.Join(dir, "ratchet", "config.toml"), nil
}

// Read reads the configuration. One that does not exist is empty. An unknown key is
// an error, as is a file that others can change: it names programs.
func Read() (File, error) {
	var f File
	path, err := Path()
	if err != nil {
		return f, nil // there is no home, so there is no file
	}
	f.Path = path
	text, err := private.ReadPublic(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("reading the contexts: %w", err)
	}
	meta, err := toml.Decode(string(text), &f)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		name := unknown[0][len(unknown[0])-1]
		return f, fmt.Errorf("%s: %s: unknown key%s", path, unknown[0], executor.DidYouMean(name, keys))
	}
	if name, err := os.ReadFile(f.choice()); err == nil {
		f.Current = strings.TrimSpace(string(name))
	}
	return f, nil
}

var keys = []string{"current", "contexts", "broker", "username", "passwordFile", "passwordCommand", "ca", "cert", "key", "root"}

// choice is the file that Use writes: config.toml is its author's, comments and all.
func (f File) choice() string { return filepath.Join(filepath.Dir(f.Path), "context") }

// Names lists the contexts, by name.
func (f File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Find returns a context by name; an empty name is the current one. Where there is
// none at all it returns an empty one.
func (f File) Find(name string) (Context, error) {
	from := "--context"
	if name == "" {
		name, from = f.Current, "the current context"
	}
	if name == "" {
		return Context{}, nil
	}
	c, ok := f.Contexts[name]
	if !ok {
		return c, fmt.Errorf("%s %q: there is none of this name in %s%s", from, name, f.Path, executor.DidYouMean(name, f.Names()))
	}
	for _, file := range []*string{&c.PasswordFile, &c.CA, &c.Cert, &c.Key} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(f.Path), *file)
		}
	}
	return c, nil
}

// Use makes a context the current one.
func (f File) Use(name string) error {
	if _, err := f.Find(name); err != nil {
		return err
	}
	if err := os.WriteFile(f.choice(), []byte(name+"\n"), 0o600); err != nil {
		return fmt.Errorf("choosing the context: %w", err)
	}
	return nil
}

// Password runs the context's command for it, and returns its first line.
func (c Context) Password() (string, error) {
	cmd := exec.Command(c.PasswordCommand[0], c.PasswordCommand[1:]...)
	cmd.Stdin, cmd.Stderr = os.Stdin, nil
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("passwordCommand %s: %w", c.PasswordCommand[0], err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimRight(line, "\r"), nil
}
