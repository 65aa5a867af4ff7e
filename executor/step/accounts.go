package step

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The accounts are read from the files of the device and nowhere else, as
// os/user does in a program without cgo; that would be 18 kB more.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// account is a user of this device.
type account struct {
	name, home string
	uid, gid   uint32
}

// lookupUser finds a user by name or by number.
func lookupUser(name string) (account, error) {
	lines, err := accountLines(passwdFile, 6)
	if err != nil {
		return account{}, err
	}
	l := findAccount(lines, name)
	if l == nil {
		return account{}, fmt.Errorf("user %q does not exist on this device", name)
	}
	gid, err := strconv.ParseUint(l[3], 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %q: %s tells no group: %w", name, passwdFile, err)
	}
	return account{name: l[0], home: l[5], uid: accountID(l), gid: uint32(gid)}, nil
}

// lookupGroup finds the number of a group.
func lookupGroup(name string) (uint32, error) {
	lines, err := accountLines(groupFile, 3)
	if err != nil {
		return 0, err
	}
	l := findAccount(lines, name)
	if l == nil {
		return 0, fmt.Errorf("group %q does not exist on this device", name)
	}
	return accountID(l), nil
}

// groups are all that the user is in, the user's own first.
func (a account) groups() ([]uint32, error) {
	all := []uint32{a.gid}
	lines, err := accountLines(groupFile, 4)
	for _, l := range lines {
		if id := accountID(l); slices.Contains(strings.Split(l[3], ","), a.name) && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all, err
}

// accountName is what the id is called in the file, or nothing.
func accountName(file string, id uint32) string {
	lines, _ := accountLines(file, 3) // without names an archive has the numbers
	for _, l := range lines {
		if accountID(l) == id {
			return l[0]
		}
	}
	return ""
}

// accountLines are the lines of the file that have a name, a number and at
// least that many fields. A file that is not there has none.
func accountLines(file string, fields int) ([][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseAccounts(string(text), fields), nil
}

func parseAccounts(text string, fields int) [][]string {
	var lines [][]string
	for line := range strings.Lines(text) {
		l := strings.Split(strings.TrimSpace(line), ":")
		if len(l) < fields || l[0] == "" || strings.ContainsAny(l[0][:1], "#+-") { // + and - are for NIS
			continue
		}
		if _, err := strconv.ParseUint(l[2], 10, 32); err == nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// findAccount finds the line of that name, else the one of that number.
func findAccount(lines [][]string, name string) []string {
	for _, field := range []int{0, 2} {
		for _, l := range lines {
			if l[field] == name {
				return l
			}
		}
	}
	return nil
}

func accountID(line []string) uint32 {
	id, _ := strconv.ParseUint(line[2], 10, 32) // parseAccounts kept it as one
	return uint32(id)
}
