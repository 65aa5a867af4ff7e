package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor"
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
	"disk":        {text(filePath), true, 0, Checker.disk},
	"memory":      {flag, true, 0, Checker.memory},
	"load":        {flag, true, 0, Checker.load},
	"temperature": {flag, true, 0, Checker.temperature},
	"service":     {text(plainName), false, 0, Checker.service},
	"process":     {text(processName), true, 0, Checker.process},
	"file":        {text(filePath), false, 0, Checker.file},
	"link":        {text(plainName), false, 1, Checker.link},
	"address":     {text(plainName), false, 2, Checker.address},
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
		if len(c.text) > 1024 || strings.Map(printable, c.text) != c.text {
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
	return checkArgv(c.argv)
}

func filePath(s string) error {
	if !filepath.IsAbs(s) || filepath.Clean(s) != s {
		return fmt.Errorf("%q: want an absolute path, without . or .. or a slash at its end", s)
	}
	return nil
}

// plainName is for what becomes part of a path or of a command line.
func plainName(s string) error {
	if s == "" || s[0] == '-' || s == "." || s == ".." || strings.ContainsAny(s, "/ ") {
		return fmt.Errorf("%q: want a plain name", s)
	}
	return nil
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

// host is the name or address of what a check talks to over the network.
func (c Check) host() string {
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
