package step

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

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// identity is whom a command runs as; without a credential, as the agent does.
type identity struct {
	name, home string
	credential *syscall.Credential
}

// identify looks up a user; an empty name is the agent's own.
func identify(name string) (identity, error) {
	if name == "" {
		name = strconv.Itoa(os.Geteuid())
		u, err := safefile.LookupUser(name)
		if err != nil { // a container's bare uid
			return identity{name: name, home: "/"}, nil
		}
		return identity{name: u.Username, home: u.HomeDir}, nil
	}
	u, err := safefile.LookupUser(name)
	if err != nil {
		return identity{}, fmt.Errorf("user: %w", err)
	}
	who := identity{name: u.Username, home: u.HomeDir}
	uid, _ := strconv.Atoi(u.Uid)
	if uid == os.Geteuid() {
		return who, nil // without root a change, even to oneself, is refused
	}
	gid, _ := strconv.Atoi(u.Gid)
	who.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	groups, err := u.GroupIds()
	if err != nil {
		return who, fmt.Errorf("reading the groups of user %q: %w", name, err)
	}
	for _, g := range groups {
		id, _ := strconv.Atoi(g)
		who.credential.Groups = append(who.credential.Groups, uint32(id))
	}
	return who, nil
}

// environ is the clean environment of a child: nothing of the agent's own,
// which may hold a proxy's password.
func environ(t *executor.Task, who identity, extra map[string]string) []string {
	env := map[string]string{
		"PATH": searchPath, "LANG": "C.UTF-8", "SHELL": "/bin/sh",
		"HOME": who.home, "USER": who.name, "LOGNAME": who.name,
		"RATCHET_JOB": t.Job, "RATCHET_STEP": t.Step, "RATCHET_ATTEMPT": strconv.Itoa(t.Attempt),
	}
	maps.Copy(env, extra)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// lookPath finds a program in the child's PATH, which is not the agent's.
func lookPath(name string, env []string) (string, error) {
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
	path, err := lookPath(argv[0], env)
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

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}

// KnownUser says why no program can run as that user here, or nil.
func KnownUser(name string) error {
	_, err := identify(name)
	return err
}
