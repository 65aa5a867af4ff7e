package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/agent/audit"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/enroll"
	"github.com/ratchetd/ratchet/agent/local"
)

// enrolment is the command line of enroll.
type enrolment struct {
	enroll.Enrolment
	tokenFile, groups string
	csr, offline      bool
}

func (e *enrolment) flags(f *flag.FlagSet) {
	f.StringVar(&e.Broker, "broker", "", "its `address`, such as tls://broker:8883")
	f.StringVar(&e.tokenFile, "token-file", "", "a `file` with the password of this device (- is stdin); for Azure with its key or connection string")
	f.StringVar(&e.Device, "device", "", "the `id` of this device; else one is made from its lowest MAC address")
	f.StringVar(&e.Username, "username", "", "the `name` that goes with the password; else the device's id")
	f.StringVar(&e.groups, "group", "", "the `names` of its groups, with commas between them")
	f.StringVar(&e.CA, "ca", "", "a `file` with the authority that vouches for the broker; else the system's")
	f.StringVar(&e.Cert, "cert", "", "a `file` with the certificate of this device")
	f.StringVar(&e.Key, "key", "", "the `file` with its key; else the one that --csr made")
	f.StringVar(&e.Dialect, "dialect", "", "plain, aws or azure; else by the broker's name")
	f.BoolVar(&e.csr, "csr", false, "only make a key, and a request for its certificate")
	f.BoolVar(&e.offline, "offline", false, "write the settings without a try")
}

// enroll makes this device part of a fleet. What it has done it finds done when
// it is called again.
func (c *command) enroll(ctx context.Context, args []string) error {
	var e enrolment
	f := c.flags("enroll")
	e.flags(f)
	if _, err := c.parse(f, args, 0, 0); err != nil {
		return err
	}
	say := func(line string) { fmt.Fprintln(c.out, line) }
	if e.csr {
		return c.request(e, say)
	}
	if err := e.read(c.in); err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	config, err := e.Enroll(ctx, c.config, e.offline, say)
	if err == nil {
		c.next(ctx, config)
	}
	return err
}

// read takes the token, which may be on stdin, and the list of groups.
func (e *enrolment) read(stdin io.Reader) error {
	if e.groups != "" {
		e.Groups = strings.Split(e.groups, ",")
	}
	if e.tokenFile == "" {
		return nil
	}
	if e.tokenFile != "-" {
		file, err := os.Open(e.tokenFile)
		if err != nil {
			return err
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, 64<<10))
	if err == nil && strings.TrimSpace(string(text)) == "" {
		err = errors.New("it is empty")
	}
	e.Token = string(text)
	return err
}

// request is enroll --csr.
func (c *command) request(e enrolment, say func(string)) error {
	csr, err := enroll.RequestCertificate(c.config, e.Device, say)
	if err != nil {
		return err
	}
	crt := filepath.Join(filepath.Dir(csr), "device.crt")
	say("next: have " + csr + " signed by your authority, as " + crt + "; for AWS IoT:")
	say("  aws iot create-certificate-from-csr --set-as-active --certificate-signing-request file://" + csr + " --query certificatePem --output text > " + crt)
	say("then: ratchetd enroll --broker URL --cert " + crt)
	return nil
}

// next tells what is left to do.
func (c *command) next(ctx context.Context, config *config.Config) {
	l := config.Link
	for _, w := range audit.Link(config) {
		fmt.Fprintln(c.out, "mind:", w.Opens+": "+w.Instead)
	}
	if len(config.Policy.Keys) == 0 {
		fmt.Fprintln(c.out, "mind: this device runs every job that its broker lets through: policy.keys in", c.config, "lets only signed ones run")
	}
	fmt.Fprintf(c.out, "this device is %s\nnext: %s\n", config.Device, startWords(local.Runs(ctx, config.State), c.config))
	if config.Service().Direct {
		fmt.Fprintf(c.out, "then, where ratchet is: ratchet --broker %s submit JOB.yaml --to device/%s --watch\n", l.Broker, config.Device)
	}
}

// startWords is how the daemon is started, or learns of its settings.
func startWords(runs bool, config string) string {
	if _, err := os.Stat("/etc/init.d/ratchet"); err == nil { // OpenWrt
		if runs {
			return "/etc/init.d/ratchet reload"
		}
		return "/etc/init.d/ratchet enable && /etc/init.d/ratchet start"
	}
	for _, dir := range []string{"/etc", "/lib", "/usr/lib"} {
		if _, err := os.Stat(dir + "/systemd/system/ratchetd.service"); err != nil {
			continue
		}
		if runs {
			return "systemctl reload ratchetd"
		}
		return "systemctl enable --now ratchetd"
	}
	if _, err := os.Stat("/etc/init.d/ratchetd"); err == nil { // OpenRC, by install.sh
		if runs {
			return "rc-service ratchetd reload"
		}
		return "rc-service ratchetd restart"
	}
	if runs {
		return "send the daemon a HUP, for it to read its settings"
	}
	return "ratchetd run --config " + config
}
