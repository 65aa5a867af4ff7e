package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// An opening is a sort of file by which who writes it runs programs as root, or
// gets in; who reads it, for those of secrets.
type opening struct {
	name   string
	places []string
}

// writable are what no tree of policy.paths should hold.
var writable = []opening{
	{"cron", []string{"/etc/cron.d", "/etc/crontab", "/etc/crontabs", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/etc/anacrontab", "/var/spool/cron"}},
	{"init", []string{"/etc/init.d", "/etc/rc.d", "/etc/rc.local", "/etc/inittab", "/etc/local.d", "/etc/runlevels", "/etc/conf.d"}},
	{"systemd units", []string{"/etc/systemd", "/run/systemd", "/usr/lib/systemd", "/lib/systemd", "/usr/local/lib/systemd"}},
	{"sudo", []string{"/etc/sudoers.d", "/etc/sudoers", "/etc/doas.conf", "/etc/polkit-1", "/etc/pam.d"}},
	{"users", []string{"/etc/passwd", "/etc/shadow", "/etc/group"}},
	{"ssh", []string{"/etc/ssh", "/etc/dropbear", "/root/.ssh/authorized_keys", "/home"}},
	{"the loader", []string{"/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d"}},
	{"profiles", []string{"/etc/profile.d", "/etc/profile", "/etc/environment", "/etc/bash.bashrc", "/root"}},
	{"devices", []string{"/etc/udev", "/etc/hotplug.d", "/etc/uci-defaults", "/usr/lib/udev", "/lib/udev"}},
	{"modules", []string{"/etc/modprobe.d", "/etc/modules-load.d", "/etc/modules.d", "/lib/modules", "/usr/lib/modules", "/boot"}},
	{"packages", []string{"/etc/apt", "/etc/opkg", "/etc/opkg.conf", "/etc/apk", "/etc/yum.repos.d", "/etc/zypp"}},
	{"network", []string{"/etc/network", "/etc/NetworkManager", "/etc/ppp", "/etc/dhcp", "/etc/udhcpc"}},
	{"log rotation", []string{"/etc/logrotate.d", "/etc/logrotate.conf"}},
	{"programs", []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"}},
	{"libraries", []string{"/usr/lib", "/lib", "/lib64", "/usr/local/lib"}},
	{"the kernel", []string{"/sys", "/dev"}},
}

// sendable are what no tree of policy.read should hold.
var sendable = []opening{
	{"passwords", []string{"/etc/shadow", "/etc/config/wireless", "/etc/NetworkManager", "/etc/wpa_supplicant", "/etc/ppp"}},
	{"keys", []string{"/etc/ssh", "/etc/dropbear", "/etc/ssl/private", "/root/.ssh", "/home"}},
}

// trees are the warnings of what the trees of policy.paths and policy.read hold.
func (p *rules) trees() (all []Warning) {
	for _, tree := range p.Paths {
		if held := heldBy(tree, writable); held != "" && p.writes() {
			all = append(all, Warning{"policy.paths", fmt.Sprintf("%q holds %s: who writes there runs anything as root, or gets in", tree, held),
				`name only the folders that jobs are to change, such as "/etc/myapp"`})
		}
	}
	key, read := "policy.read", p.Read
	if read == nil {
		key, read = "policy.paths", p.Paths
	}
	for _, tree := range read {
		if held := heldBy(tree, sendable); held != "" && p.sends() {
			all = append(all, Warning{key, fmt.Sprintf("%q holds %s, which a job may send away", tree, held),
				`name only the folders whose files may leave the device in policy.read, such as "/var/log"`})
		}
	}
	return append(all, p.secretsIn(key, read)...)
}

// secretsIn is the warning of a tree in which a job may write any secret, and whose
// files it may read and send.
func (p *rules) secretsIn(key string, read []string) []Warning {
	fills, sends := p.Allows("file") || p.Allows("config"), p.Allows("upload") || p.Allows("data")
	if p.Secrets != nil || !fills || !sends || p.unbound() {
		return nil
	}
	for _, tree := range read {
		if slices.ContainsFunc(p.Paths, func(place string) bool { return related(place, tree) }) {
			return []Warning{{key, fmt.Sprintf("%q is read and written: a job may write any secret there, and send the file away as it is", tree),
				"keep policy.read and policy.paths apart, or name the secrets that jobs may use in policy.secrets"}}
		}
	}
	return nil
}

// heldBy names what of the openings lies in a tree, or around it, with one place each.
func heldBy(tree string, openings []opening) string {
	real, err := safefile.Resolve(tree)
	if err != nil {
		real = tree
	}
	var held []string
	for _, o := range openings {
		for _, place := range o.places {
			if related(place, tree) || related(place, real) {
				held = append(held, fmt.Sprintf("%s (%s)", o.name, place))
				break
			}
		}
	}
	return strings.Join(held, ", ")
}

// related reports whether one of two paths is the other, or lies below it.
func related(a, b string) bool { return below(a, b) || below(b, a) }

func below(path, tree string) bool {
	return path == tree || tree == "/" || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
}

// runners are programs that run whatever they are given.
var runners = []string{"sh", "bash", "ash", "dash", "zsh", "busybox", "env", "python", "python3", "perl", "lua", "ruby", "node", "php", "ucode",
	"awk", "gawk", "sed", "find", "xargs", "tar", "rsync", "ssh", "git", "make", "vi", "vim", "ed", "gdb", "strace", "nice", "nohup", "timeout", "setsid",
	"sudo", "su", "doas", "chroot", "nsenter", "unshare", "start-stop-daemon", "systemd-run", "at", "crontab", "dpkg", "opkg", "apk", "apt-get", "ld.so"}

// runnerIn is a program that runs others and that a pattern matches, or empty.
func runnerIn(pattern string) string {
	for _, dir := range []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"} {
		for _, name := range runners {
			if ok, _ := path.Match(pattern, path.Join(dir, name)); ok {
				return path.Join(dir, name)
			}
		}
	}
	return ""
}

// steering are variables by which a program is made to run another one.
var steering = []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV", "ENV", "IFS", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYOPT",
	"NODE_OPTIONS", "LUA_INIT", "JAVA_TOOL_OPTIONS", "GIT_SSH_COMMAND", "TAR_OPTIONS", "MAKEFLAGS", "PAGER", "EDITOR", "VISUAL", "OPENSSL_CONF", "APT_CONFIG", "GCONV_PATH", "HOME"}
