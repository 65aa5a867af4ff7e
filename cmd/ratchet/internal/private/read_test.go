package private

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyWhatOthersCannotTouchIsRead(t *testing.T) {
	for _, c := range []struct {
		mode           os.FileMode
		secret, public string
	}{
		{0o600, "", ""},
		{0o400, "", ""},
		{0o640, "others can read", ""},
		{0o604, "others can read", ""},
		{0o620, "others can change", ""},
		{0o602, "others can change", "others can change"},
		{0o644, "others can read", ""},
		{0o664, "others can change", ""},
		{0o666, "others can change", "others can change"},
		{0o601, "others can read", ""},
	} {
		file := filepath.Join(t.TempDir(), "it's")
		if err := os.WriteFile(file, []byte("x"), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"secret": c.secret, "public": c.public} {
			read := map[string]func(string) ([]byte, error){"secret": Read, "public": ReadPublic}[name]
			text, err := read(file)
			switch {
			case want == "" && (err != nil || string(text) != "x"):
				t.Errorf("%s of mode %04o: got %q, %v, want its text", name, c.mode, text, err)
			case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), `it'\''s'`)):
				t.Errorf("%s of mode %04o: got %v, want %q and what to run", name, c.mode, err, want)
			}
		}
	}
}

func TestALinkIsJudgedByWhatItLeadsTo(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(link); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("got %v, want that others can read it", err)
	}
}

func TestAnotherUsersFileIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "belongs to user 12345, who can change it: run chown 0 ") {
		t.Errorf("got %v, want whose it is", err)
	}
}
