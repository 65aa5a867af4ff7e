package updater

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"aead.dev/minisign"
	"github.com/minio/selfupdate"
)

// Running is where the kernel keeps the binary of this process, even when another
// file has its name by now.
const Running = "/proc/self/exe"

// Old is where a binary's predecessor lies while the new one may be taken back.
func Old(path string) string { return hidden(path, ".old") }

// Trial is the file beside a binary that has yet to prove itself.
// While it is there the service manager's scripts count in it how often the
// binary was started, and put Old back after the third time.
func Trial(path string) string { return hidden(path, ".trial") }

// hidden is a name beside path that no other program uses.
func hidden(path, end string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base + end
}

// Digest is the sha256 of a file, in lower-case hex.
func Digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// SameMachine says why the binary at path is not for the processor that this
// process runs on, or nil. It compares what both say in their first bytes.
func SameMachine(path string) error {
	got, err := machineOf(path)
	if err != nil {
		return err
	}
	want, err := machineOf(Running)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("it is for %s, and this device is %s: name the binary for this device", got, want)
	}
	return nil
}

// A machine is the processor that an ELF file is for, by the file's own account.
type machine struct{ class, order, code byte }

func (m machine) String() string {
	name, ok := map[byte]string{3: "386", 8: "mips", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv"}[m.code]
	if !ok {
		name = fmt.Sprintf("ELF machine %d", m.code)
	}
	bits := map[byte]string{1: "32 bit", 2: "64 bit"}[m.class]
	return name + ", " + bits + map[byte]string{1: ", little-endian", 2: ", big-endian"}[m.order]
}

func machineOf(path string) (m machine, err error) {
	file, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer file.Close()
	head := make([]byte, 20)
	n, err := io.ReadFull(file, head)
	if n > 0 && n < len(head) || err == io.EOF || err == nil && string(head[:4]) != "\x7fELF" {
		return m, errors.New("it is no program for Linux: not an ELF file")
	}
	if err != nil {
		return m, fmt.Errorf("reading %s: %w", path, err)
	}
	m = machine{class: head[4], order: head[5], code: head[18]} // all codes that matter fit a byte
	if m.order == 2 {
		m.code = head[19]
	}
	return m, nil
}

// A Candidate is a binary that was fetched and not verified yet.
type Candidate struct {
	Part      string // where it lies
	SHA256    string // lower-case hex
	Signature string // minisign's text; empty when there are no keys
	Keys      []string
}

// Verify checks the candidate, where it lies, against its digest and its signature.
// It holds nothing of it in memory.
func (c Candidate) Verify() error {
	sum, err := Digest(c.Part)
	switch {
	case err != nil:
		return err
	case sum != c.SHA256:
		return fmt.Errorf("sha256 is %s, want %s", sum, c.SHA256)
	case len(c.Keys) == 0:
		return nil
	}
	_, err = Verify(c.Part, c.Signature, c.Keys)
	return err
}

// Staged is where Stage leaves what it has verified, to take target's place.
func Staged(target string) string { return hidden(target, ".new") }

// Stage verifies the candidate by selfupdate, which holds all of it in memory (see
// Need), and writes it to Staged(target). It does not sync that: the caller must,
// before anything is renamed.
func (c Candidate) Stage(target string) error {
	sum, err := hex.DecodeString(c.SHA256)
	if err != nil {
		return err
	}
	o := selfupdate.Options{TargetPath: target, Checksum: sum, TargetMode: 0o700}
	if len(c.Keys) > 0 {
		if o.Verifier, err = c.verifier(); err != nil {
			return err
		}
	}
	file, err := os.Open(c.Part)
	if err != nil {
		return err
	}
	defer file.Close()
	return selfupdate.PrepareAndCheckBinary(file, o)
}

// verifier is for selfupdate, which takes a signature from a file only.
func (c Candidate) verifier() (*selfupdate.Verifier, error) {
	var s minisign.Signature
	if err := s.UnmarshalText([]byte(c.Signature)); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	key, err := keyOf(s, c.Keys)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	_, err = w.WriteString(c.Signature) // a pipe holds more than a signature has
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	v := selfupdate.NewVerifier()
	return v, v.LoadFromFile(fmt.Sprintf("/proc/self/fd/%d", r.Fd()), key.String())
}
