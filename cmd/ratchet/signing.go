package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"aead.dev/minisign"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/ratchetd/ratchet/executor"
)

// signing says with which key what is sent is signed, and whether it is sent.
type signing struct {
	file  string
	print bool
	key   *minisign.PrivateKey // nil signs nothing
}

func (g *signing) flags(f *pflag.FlagSet) {
	f.StringVar(&g.file, "sign", os.Getenv("RATCHET_SIGN"), "sign it with the secret key in `file` (RATCHET_SIGN)")
	f.BoolVar(&g.print, "print", false, "print what would be sent, and send nothing: no broker is needed")
}

// open gets the key ready, if there is to be one.
func (s *session) open(g *signing) error {
	if g.file == "" {
		return nil
	}
	key, err := s.openKey(g.file)
	g.key = &key
	return err
}

// sign is empty without a key.
func (g *signing) sign(text []byte, name string) string {
	if g.key == nil {
		return ""
	}
	return sign(*g.key, text, name)
}

// sign makes a signature as minisign -S does: over the text's BLAKE2b hash, with
// the time, below which no device will believe its clock again.
func sign(key minisign.PrivateKey, text []byte, name string) string {
	r := minisign.NewReader(bytes.NewReader(text))
	_, _ = io.Copy(io.Discard, r) // memory reads to its end
	name = strings.Map(func(c rune) rune {
		if c < ' ' {
			return '_'
		}
		return c
	}, name)
	return string(r.SignWithComments(key,
		fmt.Sprintf("timestamp:%d\tfile:%s\thashed", time.Now().Unix(), name),
		fmt.Sprintf("signature of ratchet key %016X", key.ID())))
}

// openKey reads a secret key, and asks for its passphrase if it has one.
func (s *session) openKey(file string) (key minisign.PrivateKey, err error) {
	text, err := readPrivate(file)
	if err != nil {
		return key, fmt.Errorf("reading the secret key: %w", err)
	}
	if !minisign.IsEncrypted(text) {
		if err := key.UnmarshalText(text); err != nil {
			return key, fmt.Errorf("%s: no secret key: want the file that 'ratchet key new' or minisign -G wrote: %w", file, err)
		}
		return key, nil
	}
	word, err := s.passphrase("passphrase for "+file+": ", false)
	if err != nil {
		return key, err
	}
	if key, err = minisign.DecryptKey(word, text); err != nil {
		return key, fmt.Errorf("%s: this passphrase does not open it", file)
	}
	return key, nil
}

// readPrivate reads a file that must be nobody else's to read.
func readPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s (mode %04o): run chmod 600 %s", file, mode, file)
	}
	return os.ReadFile(file)
}

// passphrase comes from the file that RATCHET_PASSPHRASE_FILE names, or else from the terminal.
func (s *session) passphrase(prompt string, twice bool) (string, error) {
	if file := os.Getenv("RATCHET_PASSPHRASE_FILE"); file != "" {
		text, err := readPrivate(file)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("the key has a passphrase and there is no terminal to ask at: name a file that holds it with RATCHET_PASSPHRASE_FILE")
	}
	defer tty.Close()
	word, err := ask(tty, prompt)
	if err != nil || !twice {
		return word, err
	}
	again, err := ask(tty, "once more: ")
	if err == nil && again != word {
		err = errors.New("the two are not the same: nothing was written")
	}
	return word, err
}

func ask(tty *os.File, prompt string) (string, error) {
	fmt.Fprint(tty, prompt)
	defer fmt.Fprintln(tty)
	word, err := term.ReadPassword(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	return string(word), nil
}

// signable tells what keeps a text from being taken by a device that wants
// signatures.
func signable(text []byte, job executor.Job) error {
	switch {
	case !utf8.Valid(text):
		return errors.New("the document is not UTF-8, so its exact text cannot be sent")
	case job.Expires.IsZero():
		return errors.New("expires: a signed job needs it, and a recurring one gets none by itself: say until when it recurs")
	case len(job.Audience) == 0:
		return errors.New("audience: a signed job needs it: whom it is meant for")
	}
	return nil
}
