package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/slots.sh
var slotsScript string

// A kindTable is a gateway on which each kind is tried under each form of the unit.
type kindTable struct {
	gateway
	public  minisign.PublicKey
	private minisign.PrivateKey
	web     string // the address of the files, as the guest sees it
	agent   []byte // a program that is another one, and does the same
	version string // what it says of itself
}

// forms are the units, in the order of the table: as packaged, and with a drop-in.
var forms = []string{"packaged", "hardened", "unprivileged"}

// table holds what came of it; who changes a unit or a kind runs this again.
const table = "scripts/systemd/kinds.txt"

// playUnits does a job of each kind under each form of the unit, and compares what
// came of it with the table; with UPDATE set it is written again.
func playUnits(ctx context.Context, p *place, out io.Writer) error {
	if os.Getuid() != 0 {
		fmt.Fprintln(out, "skipped: units: debootstrap wants root")
		return nil
	}
	b := &kindTable{gateway: gateway{place: p, root: filepath.Join(p.dir, "root")}}
	if err := b.prepare(); err != nil {
		return err
	}
	kinds := b.kinds()
	rows := make([]string, len(kinds))
	for i, k := range kinds {
		rows[i] = fmt.Sprintf("%-28s", k.name)
	}
	head := fmt.Sprintf("%-28s", "")
	for _, form := range forms {
		head += fmt.Sprintf(" | %-12s", form)
		states, err := b.under(ctx, form, kinds)
		if err != nil {
			return err
		}
		for i, s := range states {
			works := "works"
			if s.State != "succeeded" {
				works = "no"
				fmt.Fprintf(out, "%s, %s: %s\n", form, kinds[i].name, s.Reason)
			}
			rows[i] += fmt.Sprintf(" | %-12s", works)
		}
	}
	seen := head + "\n" + strings.Join(rows, "\n") + "\n"
	fmt.Fprint(out, seen)
	if os.Getenv("UPDATE") != "" {
		return os.WriteFile(table, []byte(seen), 0o644)
	}
	want, err := os.ReadFile(table)
	if err == nil && string(want) != seen {
		err = fmt.Errorf("%s has something else:\n%s", table, want)
	}
	return err
}

// prepare makes a root with the package, and what the jobs want to find there.
func (b *kindTable) prepare() (err error) {
	if b.broker, err = startBroker(); err != nil {
		return err
	}
	if b.public, b.private, err = minisign.GenerateKey(rand.Reader); err != nil {
		return err
	}
	if err := errors.Join(b.base(), b.install(), b.serve(), b.feed()); err != nil {
		return err
	}
	return writeAll(0o755, map[string]string{
		filepath.Join(b.root, "usr/lib/ratchet/plugins/hello"): "#!/bin/sh\n[ \"$1\" = run ] || exit 64\necho hello\n",
		filepath.Join(b.root, "etc/ratchet/firmware"):          slotsScript,
	})
}

// feed is a repository with one package.
func (b *kindTable) feed() error {
	const control = "Package: hello-units\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: says hello\n"
	made := filepath.Join(b.dir, "hello-units")
	deb := filepath.Join(b.root, "feed/hello.deb")
	if err := writeAll(0o644, map[string]string{
		filepath.Join(made, "DEBIAN/control"):         control,
		filepath.Join(made, "usr/share/hello-units"):  "hello\n",
		filepath.Join(b.root, "etc/apt/sources.list"): "deb [trusted=yes] file:/feed ./\n",
		deb: "",
	}); err != nil {
		return err
	}
	if _, err := machine.Output(exec.Command("dpkg-deb", "--root-owner-group", "-b", made, deb)); err != nil {
		return err
	}
	text, err := os.ReadFile(deb)
	if err != nil {
		return err
	}
	list := fmt.Sprintf("%sFilename: ./hello.deb\nSize: %d\nSHA256: %x\n", control, len(text), sha256.Sum256(text))
	return writeAll(0o644, map[string]string{filepath.Join(b.root, "feed/Packages"): list})
}

// writeAll writes files, with the folders above them.
func writeAll(mode os.FileMode, files map[string]string) error {
	for path, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			return err
		}
	}
	return nil
}

// serve has files for the guest, and takes what it uploads.
func (b *kindTable) serve() (err error) {
	program, err := os.ReadFile(filepath.Join(b.root, "usr/bin/ratchetd"))
	if err != nil {
		return err
	}
	said, err := machine.Output(exec.Command(filepath.Join(b.root, "usr/bin/ratchetd"), "version"))
	if err != nil {
		return err
	}
	b.agent, b.version = append(program, "another"...), strings.Fields(said)[1]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	b.web = "http://10.0.2.2:" + port
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				_, _ = io.Copy(io.Discard, r.Body)
			case r.URL.Path == "/agent":
				_, _ = w.Write(b.agent)
			default:
				_, _ = io.WriteString(w, "file")
			}
		})) // until this program ends
	}()
	return nil
}

// A tried kind is a job of one step.
type tried struct {
	name string
	step any
}

// kinds are all, some of them in more than one way. Those that end the agent come last.
func (b *kindTable) kinds() []tried {
	one := func(name, kind string, with map[string]any, more ...any) tried {
		s := map[string]any{"name": "s", kind: with, "timeout": "3m"}
		for i := 0; i < len(more); i += 2 {
			s[more[i].(string)] = more[i+1]
		}
		return tried{name, s}
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("file")))
	return []tried{
		one("command", "command", map[string]any{"argv": []string{"cat", "/etc/hostname"}}),
		one("command, nice", "command", map[string]any{"argv": []string{"true"}, "nice": 5}),
		one("command, as another user", "command", map[string]any{"argv": []string{"id"}, "user": "nobody"}),
		one("command, a control group", "command", map[string]any{"argv": []string{"grep", "ratchet-step-", "/proc/self/cgroup"}}),
		one("command, a serial port", "command", map[string]any{"shell": "stty -F /dev/ttyS0 >/dev/null && echo AT >/dev/ttyS0"}),
		one("command, the disk", "command", map[string]any{"argv": []string{"dd", "if=/dev/vda", "of=/dev/null", "bs=4096", "count=1"}}),
		one("command, a mount", "command", map[string]any{"shell": "mount -t tmpfs none /mnt && umount /mnt"}),
		one("command, the clock", "command", map[string]any{"shell": "date -s @$(date +%s)"}),
		one("command, a setuid file", "command", map[string]any{"shell": "cp /bin/true /tmp/setuid && chmod 4755 /tmp/setuid"}),
		one("data", "data", map[string]any{"inputs": []string{"/etc/hostname"}, "format": "text", "jq": "[inputs] | length", "output": "/tmp/lines"}),
		one("diagnostic", "diagnostic", map[string]any{"checks": []any{map[string]any{"name": "d", "disk": "/", "below": 99}, map[string]any{"name": "m", "memory": true, "below": 99},
			map[string]any{"name": "t", "tcp": strings.TrimPrefix(b.web, "http://")}, map[string]any{"name": "p", "process": "systemd"}, map[string]any{"name": "f", "file": "/etc/hostname"},
			map[string]any{"name": "c", "command": []string{"true"}}}}),
		one("diagnostic, ping", "diagnostic", map[string]any{"checks": []any{map[string]any{"name": "p", "ping": "127.0.0.1"}}}),
		one("download", "download", map[string]any{"url": b.web + "/file", "sha256": sum, "to": "/tmp/file"}),
		one("upload", "upload", map[string]any{"paths": []string{"/etc/hostname"}, "url": b.web + "/up"}),
		one("plugin", "plugin", map[string]any{"name": "hello"}),
		one("file, below /tmp", "file", map[string]any{"path": "/tmp/f", "content": "f"}),
		one("file, below /etc", "file", map[string]any{"path": "/etc/f", "content": "f"}),
		one("file, of another owner", "file", map[string]any{"path": "/etc/g", "content": "g", "owner": "nobody", "mode": "0640"}),
		one("config", "config", map[string]any{"files": []any{map[string]any{"path": "/etc/c", "content": "c"}}, "apply": []string{"true"}}),
		one("service", "service", map[string]any{"name": "systemd-networkd", "action": "restart"}),
		one("package", "package", map[string]any{"install": []string{"hello-units"}, "refresh": true}),
		one("certificate, a request", "certificate", map[string]any{"request": map[string]any{"commonName": device}}),
		one("settings", "settings", map[string]any{"name": "units", "content": "[vars]\nunits = \"yes\"\n"}, "confirm", map[string]any{"within": "1m"}),
		one("keys", "keys", map[string]any{"set": []string{b.public.String()}, "sequence": 1}, "confirm", map[string]any{"within": "1m"}),
		one("update", "update", map[string]any{"url": b.web + "/agent", "sha256": fmt.Sprintf("%x", sha256.Sum256(b.agent)), "version": b.version,
			"signature": string(minisign.Sign(b.private, b.agent)), "force": true}, "confirm", map[string]any{"within": "1m"}),
		one("firmware", "firmware", map[string]any{"url": b.web + "/file", "sha256": sum, "version": "2", "signature": string(minisign.Sign(b.private, []byte("file")))},
			"confirm", map[string]any{"within": "3m"}),
		one("reboot", "reboot", map[string]any{}),
	}
}

// under boots the machine with the form of the unit and has it do all jobs.
func (b *kindTable) under(ctx context.Context, form string, kinds []tried) ([]status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("no end in ten minutes"))
	defer cancel()
	dropIn, err := os.ReadFile(filepath.Join("scripts/systemd", form+".conf"))
	if err != nil && form != "packaged" {
		return nil, err
	}
	secret := ""
	if form == "unprivileged" { // which reads none but by systemd
		secret = "username = \"" + device + "\"\npasswordFile = \"$CREDENTIALS_DIRECTORY/device.key\"\n"
	}
	if err := b.configure(map[string]string{
		"etc/systemd/system/ratchetd.service.d/form.conf": string(dropIn),
		"etc/ratchet/device.key":                          "a key\n",
		"etc/ratchet/ratchet.toml": fmt.Sprintf("device = %q\n[link]\nbroker = \"tcp://10.0.2.2:%d\"\nspread = \"0s\"\n%s[policy]\nkeys = [%q]\n",
			device, b.port, secret, b.public.String()),
	}, "ratchetd"); err != nil {
		return nil, err
	}
	if err := b.make(); err != nil {
		return nil, err
	}
	var all []<-chan struct{}
	for i, k := range kinds {
		ended, err := b.sign(fmt.Sprintf("%s-%02d", form, i), k.step)
		if err != nil {
			return nil, err
		}
		all = append(all, ended)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, each := range all {
			select {
			case <-each:
			case <-ctx.Done():
				return
			}
		}
	}()
	if _, err := b.machine.Until(ctx, ended, machine.Never); err != nil {
		return nil, err
	}
	var states []status
	for i, k := range kinds {
		s := b.report(fmt.Sprintf("%s-%02d", form, i))
		if !s.final() {
			return nil, fmt.Errorf("%s, %s: no end: %+v", form, k.name, s)
		}
		states = append(states, s)
	}
	return states, nil
}

// sign offers a job of one step with the signature of its key.
func (b *kindTable) sign(job string, step any) (<-chan struct{}, error) {
	doc, err := json.Marshal(map[string]any{"id": job, "steps": []any{step}, "expires": "2099-01-01T00:00:00Z", "audience": []string{"device/" + device}})
	if err != nil {
		return nil, err
	}
	e := dialect.Envelope{Job: string(doc), Signature: string(minisign.Sign(b.private, doc))}
	return b.announce(job, e.Payload())
}
