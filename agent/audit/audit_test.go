package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
)

// load reads a configuration with this policy.
func load(t *testing.T, policy string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ratchet.toml")
	text := "device = \"gw-1\"\n[link]\nbroker = \"tls://b:1\"\n[policy]\n" + policy + "\n"
	if err := errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

// policies and what one of their warnings says; a policy behind ! says none of that.
func TestAPolicyIsWarnedOfWhatItOpens(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.Symlink("/etc", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Mkdir(filepath.Join(dir, "links"), 0o755), os.Symlink("../bin/open", filepath.Join(dir, "links/run")),
		os.WriteFile(filepath.Join(dir, "bin/open"), nil, 0o755), os.Chmod(filepath.Join(dir, "bin/open"), 0o777))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ policy, want string }{
		{`allow = ["file"]` + "\n" + `paths = ["/"]`, `policy.paths: "/" holds cron (/etc/cron.d), init`},
		{`allow = ["file"]` + "\n" + `paths = ["/etc/cron.d"]`, `policy.paths: "/etc/cron.d" holds cron (/etc/cron.d): who`},
		{`allow = ["file"]` + "\n" + `paths = ["/etc/systemd/system/app.service.d"]`, `holds systemd units (/etc/systemd): who`},
		{fmt.Sprintf(`paths = [%q]`, filepath.Join(dir, "link")), `link" holds cron (/etc/cron.d), init`},
		{`paths = ["/root"]`, `holds ssh (/root/.ssh/authorized_keys), profiles (/root): who`},
		{`paths = ["/usr"]`, `programs (/usr/bin), libraries (/usr/lib)`},
		{`paths = ["/var"]`, `holds cron (/var/spool/cron): who`},
		{`paths = ["/opt/app", "/etc/app", "/etcetera"]`, `!policy.paths`},
		{`allow = ["service"]` + "\n" + `paths = ["/etc"]`, `!policy.paths`}, // nothing writes
		{`commands = ["/usr/local/lib/x/*"]`, `policy.paths: it is not set, so a job writes any file`},
		{`commands = ["/usr/local/lib/x/*"]`, `policy.read: neither it nor policy.paths is set`},
		{`users = ["nobody"]`, `!command as root`},
		{`users = ["root", "nobody"]`, `policy.allow: command as root is bound by nothing`},
		{`allow = ["*"]`, `!policy.paths`}, // it is advice in any case
		{`commands = ["/usr/bin/*"]`, `"/usr/bin/*" matches /usr/bin/sh, which runs any other program`},
		{`commands = ["/usr/bin/logger"]`, `!which runs any other program`},
		{`commands = ["/usr/bin/logger"]`, `policy.allow: plugin runs what lies in`},
		{`allow = ["file"]` + "\n" + `read = ["/etc/shadow"]`, `!which a job may send away`},
		{`allow = ["upload"]` + "\n" + `read = ["/etc/shadow"]`, `policy.read: "/etc/shadow" holds passwords (/etc/shadow), which a job may send away`},
		{fmt.Sprintf(`commands = [%q]`, filepath.Join(dir, "bin/*")), `bin/*": others can write ` + dir + `/bin/open: run chmod go-w`},
		{fmt.Sprintf("commands = [%q]\npaths = [%q]", filepath.Join(dir, "bin/*"), dir), `bin/*" lies where jobs may write`},
		{fmt.Sprintf("commands = [%q]\npaths = [%q]", filepath.Join(dir, "links/*"), filepath.Join(dir, "bin")), `links/*" lies where jobs may write`},
		{`allow = ["package"]`, `policy.allow: package installs and removes any package`},
		{`allow = ["file", "upload"]` + "\n" + `paths = ["/opt/app"]`, `policy.paths: "/opt/app" is read and written: a job may write any secret there`},
		{`allow = ["file", "upload"]` + "\n" + `paths = ["/opt/app"]` + "\n" + `secrets = []`, `!a job may write any secret`},
		{`allow = ["file", "upload"]` + "\n" + `paths = ["/opt/app"]` + "\n" + `read = ["/var/log"]`, `!a job may write any secret`},
		{`users = ["nosuchuserhere"]`, `policy.users: "nosuchuserhere" is no user of this device`},
	} {
		if os.Geteuid() != 0 && strings.Contains(c.policy, `"root", "nobody"`) {
			continue // root is somebody else then
		}
		conf, err := load(t, c.policy)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, w := range Config(conf) {
			if w.Key == "" || w.Opens == "" || w.Instead == "" {
				t.Errorf("%+v: want a key, what it opens and what to write", w)
			}
			fmt.Fprintln(&all, w)
		}
		want, none := strings.CutPrefix(c.want, "!")
		if strings.Contains(all.String(), want) == none {
			t.Errorf("%s: got\n%swant %s", c.policy, all.String(), c.want)
		}
	}
}
