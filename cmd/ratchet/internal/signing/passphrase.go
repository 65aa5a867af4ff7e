package signing

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"golang.org/x/term"
)

// passphrase comes from the file that RATCHET_PASSPHRASE_FILE names, or else
// from the terminal.
func passphrase(prompt string, twice bool) (string, error) {
	if file := os.Getenv("RATCHET_PASSPHRASE_FILE"); file != "" {
		text, err := private.Read(file)
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
	out := screen.On(tty)
	fmt.Fprint(out, prompt)
	defer fmt.Fprintln(out)
	word, err := term.ReadPassword(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	return string(word), nil
}
