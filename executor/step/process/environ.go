package process

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// SearchPath is the PATH of every child.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Identity is whom a command runs as; without a credential, as the agent does.
type Identity struct {
	Name, home string
	Credential *syscall.Credential
}

// Identify looks up a user; an empty name is the agent's own.
func Identify(name string) (Identity, error) {
	if name == "" {
		name = strconv.Itoa(os.Geteuid())
		u, err := safefile.LookupUser(name)
		if err != nil { // a container's bare uid
			return Identity{Name: name, home: "/"}, nil
		}
		return Identity{Name: u.Username, home: u.HomeDir}, nil
	}
	u, err := safefile.LookupUser(name)
	if err != nil {
		return Identity{}, fmt.Errorf("user: %w", err)
	}
	who := Identity{Name: u.Username, home: u.HomeDir}
	uid, _ := strconv.Atoi(u.Uid)
	if uid == os.Geteuid() {
		return who, nil // without root a change, even to oneself, is refused
	}
	gid, _ := strconv.Atoi(u.Gid)
	who.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	groups, err := u.GroupIds()
	if err != nil {
		return who, fmt.Errorf("reading the groups of user %q: %w", name, err)
	}
	for _, g := range groups {
		id, _ := strconv.Atoi(g)
		who.Credential.Groups = append(who.Credential.Groups, uint32(id))
	}
	return who, nil
}

// Environ is the clean environment of a child: nothing of the agent's own,
// which may hold a proxy's password.
func Environ(t *executor.Task, who Identity, extra map[string]string) []string {
	env := map[string]string{
		"PATH": SearchPath, "LANG": "C.UTF-8", "SHELL": "/bin/sh",
		"HOME": who.home, "USER": who.Name, "LOGNAME": who.Name,
		"RATCHET_JOB": t.Job, "RATCHET_STEP": t.Step, "RATCHET_ATTEMPT": strconv.Itoa(t.Attempt),
	}
	maps.Copy(env, extra)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// LookPath finds a program in the child's PATH, which is not the agent's.
func LookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var path string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("starting %s: not found in %s", name, path)
}

// newCommand prepares argv to run in env and nothing else.
func newCommand(argv, env []string, dir string) (*exec.Cmd, error) {
	path, err := LookPath(argv[0], env)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = "/"
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("dir: %s is no directory on this device", dir)
	}
	return &exec.Cmd{Path: path, Args: argv, Env: env, Dir: dir}, nil
}

// startError puts into words why a program did not start.
func startError(path string, err error) error {
	if _, statErr := os.Stat(path); statErr == nil && os.IsNotExist(err) {
		return fmt.Errorf("starting %s: the interpreter or loader that it names does not exist", path)
	}
	if perr, ok := err.(*fs.PathError); ok {
		err = perr.Err
	}
	return fmt.Errorf("starting %s: %w", path, err)
}

// KnownUser says why no program can run as that user here, or nil.
func KnownUser(name string) error {
	_, err := Identify(name)
	return err
}
