package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Extended are a file's extended attributes by name: its access list, its label, the
// capabilities of a program, and what users note. nil is what nobody has looked at; a
// file that has none has an empty one.
type Extended map[string][]byte

const (
	accessList   = "system.posix_acl_access"
	serverList   = "system.nfs4_acl" // the access list of a file on an NFSv4 server, which makes one of the mode where nobody set it
	capabilities = "security.capability"
	maxExtended  = 16 << 10 // bytes of one file's, which the journal keeps for the undo
)

// isKept reports whether an attribute belongs to a name, and so to what takes that name's
// place. Sums of the content do not, nor does what an overlay notes for itself.
func isKept(name string) bool {
	prefixed := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	if slices.ContainsFunc([]string{"trusted.overlay.", "user.overlay."}, prefixed) || name == "security.ima" || name == "security.evm" {
		return false
	}
	return name == accessList || name == serverList || slices.ContainsFunc([]string{"user.", "trusted.", "security.", "btrfs."}, prefixed)
}

// extendedOf reads those of an open file, which may be open to look at only. It is nil
// where the file system knows none.
func extendedOf(fd int) (Extended, error) {
	// A descriptor that only looks takes no other way.
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	list, err := sized(func(buf []byte) (int, error) { return unix.Listxattr(path, buf) })
	if knowsNone(err) || errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	x, size := Extended{}, 0
	for name := range strings.SplitSeq(string(list), "\x00") {
		if err != nil || name == "" || !isKept(name) {
			continue
		}
		x[name], err = sized(func(buf []byte) (int, error) { return unix.Getxattr(path, name, buf) })
		if size += len(name) + len(x[name]); size > maxExtended {
			err = fmt.Errorf("it has more than %d bytes of extended attributes, which cannot all be kept", maxExtended)
		}
		if errors.Is(err, unix.ENODATA) { // it has gone since
			delete(x, name)
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the extended attributes: %w", err)
	}
	return x, nil
}

func knowsNone(err error) bool { return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) }

// sized calls read with as much room as it wants.
func sized(read func(buf []byte) (int, error)) ([]byte, error) {
	for {
		n, err := read(nil)
		if err != nil || n == 0 {
			return []byte{}, err
		}
		buf := make([]byte, n)
		if n, err = read(buf); !errors.Is(err, unix.ERANGE) { // it has grown since
			return buf[:max(n, 0)], err
		}
	}
}

// give makes them those of a file. An access list that came from its directory goes.
func (x Extended) give(file *os.File) error {
	if x == nil {
		return nil
	}
	has, err := extendedOf(int(file.Fd()))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if now, ok := has[name]; ok && bytes.Equal(now, x[name]) {
			continue
		}
		if err := unix.Fsetxattr(int(file.Fd()), name, x[name], 0); err != nil {
			return fmt.Errorf("the attribute %s of %s cannot be kept: %w: let the agent run as root on a file system that has them, or take it off (setfattr -x)", name, file.Name(), err)
		}
	}
	if _, ok := x[accessList]; !ok && has[accessList] != nil {
		if err := unix.Fremovexattr(int(file.Fd()), accessList); err != nil && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("taking off the access list of %s: %w", file.Name(), err)
		}
	}
	return nil
}

// equal reports whether two files have the same ones; what nobody has looked at is.
func (x Extended) equal(y Extended) bool {
	return x == nil || y == nil || maps.EqualFunc(x, y, bytes.Equal)
}
