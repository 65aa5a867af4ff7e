package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// checkKind is something that can be checked.
type checkKind struct {
	value    func(json.RawMessage, *Check) error // reads what is looked at
	measured bool                                // it gives a figure for below and above
	rank     int                                 // lower ones are checked first, for higher ones depend on them
	probe    func(Checker, context.Context, Check) (telemetry.Reading, error)
}

var checkKinds = map[string]checkKind{
	"disk":        {text(safefile.CheckAnyPath), true, 0, Checker.disk},
	"memory":      {flag, true, 0, Checker.memory},
	"load":        {flag, true, 0, Checker.load},
	"temperature": {flag, true, 0, Checker.temperature},
	"service":     {text(safefile.CheckName), false, 0, Checker.service},
	"process":     {text(processName), true, 0, Checker.process},
	"file":        {text(safefile.CheckAnyPath), false, 0, Checker.file},
	"link":        {text(safefile.CheckName), false, 1, Checker.link},
	"address":     {text(safefile.CheckName), false, 2, Checker.address},
	"gateway":     {flag, true, 3, Checker.gateway},
	"dns":         {text(domain), true, 4, Checker.dns},
	"broker":      {flag, false, 5, Checker.broker},
	"ping":        {text(hostName), true, 6, Checker.ping},
	"tcp":         {text(hostPort), true, 6, Checker.tcp},
	"http":        {text(webAddress), true, 6, Checker.http},
	"command":     {program, false, 7, Checker.command}, // the last: it may need any of them
}

// text reads a string that must be valid.
func text(valid func(string) error) func(json.RawMessage, *Check) error {
	return func(raw json.RawMessage, c *Check) error {
		if err := executor.Decode(raw, &c.text); err != nil {
			return err
		}
		if len(c.text) > 1024 || strings.Map(redact.Printable, c.text) != c.text {
			return errors.New("want at most 1024 printable characters")
		}
		return valid(c.text)
	}
}

func flag(raw json.RawMessage, _ *Check) error {
	if string(raw) != "true" {
		return errors.New("want true")
	}
	return nil
}

func program(raw json.RawMessage, c *Check) error {
	if err := executor.Decode(raw, &c.argv); err != nil {
		return err
	}
	return process.CheckArgv(c.argv)
}

func processName(s string) error {
	if s == "" || strings.Contains(s, "/") {
		return fmt.Errorf("%q: want the name of a program, without its directory", s)
	}
	return nil
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$`)

func hostName(s string) error {
	if !hostPattern.MatchString(s) {
		return fmt.Errorf("%q: want the name or the address of a host", s)
	}
	return nil
}

func domain(s string) error {
	if _, err := netip.ParseAddr(s); err == nil || strings.Contains(s, ":") {
		return fmt.Errorf("%q: want a name to look up, not an address", s)
	}
	return hostName(s)
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || hostName(host) != nil {
		return fmt.Errorf("%q: want \"host:port\"", s)
	}
	return nil
}

func webAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || hostName(u.Hostname()) != nil {
		return errors.New("want a URL that begins with http:// or https:// and names a host")
	}
	return nil
}

// Host is the name or address of what a check talks to over the network.
func (c Check) Host() string {
	switch c.Kind {
	case "tcp":
		host, _, _ := net.SplitHostPort(c.text)
		return host
	case "http":
		u, _ := url.Parse(c.text)
		return u.Hostname()
	}
	return c.text
}

// Rank orders checks: lower ones are made first, for higher ones depend on them.
func (c Check) Rank() int { return checkKinds[c.Kind].rank }

// Subject is what the check looks at; empty where its kind says it all.
func (c Check) Subject() string { return c.text }

// Needs are the kinds of checks that must hold for this one, nearest first.
func (c Check) Needs() []string {
	all := []string{"dns", "gateway", "address", "link"}
	switch c.Kind {
	case "address":
		return all[3:]
	case "gateway":
		return all[2:]
	case "dns":
		return all[1:]
	case "broker":
		return all
	case "ping", "tcp", "http":
		if _, err := netip.ParseAddr(c.Host()); err != nil && c.Host() != "localhost" {
			return all
		}
	}
	return nil // an address may be on this device or next to it
}
