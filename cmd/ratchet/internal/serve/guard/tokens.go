package guard

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
)

// A Role is what somebody may do.
type Role int

// The roles; each may do what those before it may.
const (
	Nobody   Role = iota
	Viewer        // look
	Operator      // send jobs, cancel them, change rollouts
	Admin         // all there is
)

var roles = map[string]Role{"viewer": Viewer, "operator": Operator, "admin": Admin}

// A Person is who asks.
type Person struct {
	Name string
	Role Role
}

// Tokens say who a token belongs to.
type Tokens struct {
	known []known
	first string // the first one in the file
}

type known struct {
	Person
	digest [sha256.Size]byte // of equal length, so that comparing them takes the same time
}

// minToken is how many characters a token has at least.
const minToken = 20

// ReadTokens reads a file of lines "ROLE NAME TOKEN". Where there is none it makes
// one, with a token for name as its admin.
func ReadTokens(file, name string) (*Tokens, error) {
	text, err := private.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte("admin " + name + " " + rand.Text() + "\n")
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("--tokens: %w", err)
	}
	t := &Tokens{}
	for i, line := range bytes.Split(text, []byte("\n")) {
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 3 || roles[words[0]] == Nobody || len(words[2]) < minToken {
			return nil, fmt.Errorf("--tokens %s: line %d: want viewer, operator or admin, a name, and a token of at least %d characters", file, i+1, minToken)
		}
		t.known = append(t.known, known{Person{words[1], roles[words[0]]}, sha256.Sum256([]byte(words[2]))})
		if t.first == "" {
			t.first = words[2]
		}
	}
	if t.first == "" {
		return nil, fmt.Errorf("--tokens %s: no token in it: remove it, and a new one is made", file)
	}
	return t, nil
}

// First is the first token of the file.
func (t *Tokens) First() string { return t.first }

// Who is whose the token is; nobody's has no role.
func (t *Tokens) Who(token string) (who Person) {
	digest := sha256.Sum256([]byte(token))
	for _, k := range t.known {
		if subtle.ConstantTimeCompare(k.digest[:], digest[:]) == 1 {
			who = k.Person
		}
	}
	return who
}
