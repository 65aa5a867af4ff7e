package telemetry

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Zone is the time zone of this name, such as Europe/Berlin; without a name it
// is the board's own. A board without zone files, as most routers are, knows a
// zone by its rules: CET-1CEST,M3.5.0,M10.5.0/3 is one too.
//
// Go takes OpenWrt's local time for UTC: there is no /etc/localtime, and rules
// in TZ or /etc/TZ it does not read.
func Zone(name string) (*time.Location, error) {
	if name != "" {
		return namedZone(host(), name)
	}
	if OpenWrt() {
		return routerZone(host()), nil
	}
	return localZone(host()), nil
}

// localZone is that of /etc/localtime as it is now: Go reads it once. What TZ says is for
// as long as the process lives.
func localZone(t tree) *time.Location {
	if _, set := os.LookupEnv("TZ"); set {
		return time.Local
	}
	file, err := os.ReadFile(filepath.Join(t.etc, "localtime"))
	if err != nil {
		return time.Local
	}
	z, err := time.LoadLocationFromTZData("Local", file)
	if err != nil {
		return time.Local
	}
	return z
}

func namedZone(t tree, name string) (*time.Location, error) {
	if z, err := time.LoadLocation(name); err == nil {
		return z, nil
	}
	if z, err := rulesZone(name); err == nil {
		return z, nil
	}
	if own := uciSystem(t); isOpenWrt(t) && own["zonename"] == name {
		return routerZone(t), nil
	}
	return nil, fmt.Errorf("%q: this device knows no such time zone: want a name such as Europe/Berlin "+
		"or, where there are no zone files, its rules, such as CET-1CEST,M3.5.0,M10.5.0/3", name)
}

// routerZone is what an OpenWrt router is set to; UTC if that cannot be read.
// Its own script removes what /etc/TZ points to where there are zone files.
func routerZone(t tree) *time.Location {
	own := uciSystem(t)
	if name := strings.ReplaceAll(own["zonename"], " ", "_"); name != "" && name != "UTC" {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	for _, rules := range []string{own["timezone"], word(t.etc, "TZ")} {
		if z, err := rulesZone(rules); err == nil {
			return z
		}
	}
	return time.UTC
}

// uciSystem reads the options of the first section of the settings of a router.
func uciSystem(t tree) map[string]string {
	options := map[string]string{}
	f, err := os.Open(filepath.Join(t.etc, "config/system"))
	if err != nil {
		return options
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch word {
		case "config":
			if inside {
				return options
			}
			inside = strings.Trim(strings.Fields(rest + " .")[0], `'"`) == "system"
		case "option":
			if name, value, ok := strings.Cut(strings.TrimSpace(rest), " "); ok && inside {
				options[strings.Trim(name, `'"`)] = strings.Trim(strings.TrimSpace(value), `'"`)
			}
		}
	}
	return options
}

// zoneRules are those of POSIX: a name and an offset, then perhaps a name for
// the summer, with its offset, and when it begins and ends.
var zoneRules = regexp.MustCompile(`^(<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})[+-]?\d{1,3}(:\d\d){0,2}` +
	`((<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})([+-]?\d{1,3}(:\d\d){0,2})?,[JM]?[\d.]+(/[+-]?[\d:]+)?,[JM]?[\d.]+(/[+-]?[\d:]+)?)?$`)

// rulesZone makes a zone of POSIX rules: a zone file is built in memory that has
// them behind its only transition, which lies before all time. Go follows them
// there, and takes what it does not understand for UTC without a word.
func rulesZone(rules string) (*time.Location, error) {
	m := zoneRules.FindStringSubmatch(rules)
	if m == nil {
		return nil, errors.New("no rules of a time zone")
	}
	z, err := time.LoadLocationFromTZData(rules, zoneFile(rules))
	if err != nil {
		return nil, err
	}
	for month := range 12 {
		if name, _ := time.Date(2026, time.Month(month+1), 15, 12, 0, 0, 0, z).Zone(); name == strings.Trim(m[1], "<>") {
			return z, nil
		}
	}
	return nil, errors.New("rules of a time zone that cannot be followed")
}

// zoneFile is a TZif file of version 2, as RFC 8536 has it.
func zoneFile(rules string) []byte {
	var file bytes.Buffer
	header := func(transitions uint32) {
		file.WriteString("TZif2")
		file.Write(make([]byte, 15))
		for _, n := range []uint32{0, 0, 0, transitions, 1, 4} { // the last: one type, and its name of four bytes
			file.Write(binary.BigEndian.AppendUint32(nil, n))
		}
	}
	utc := append(make([]byte, 6), "UTC\x00"...)
	header(0)
	file.Write(utc)
	header(1)
	longAgo := int64(-1 << 40)
	file.Write(binary.BigEndian.AppendUint64(nil, uint64(longAgo)))
	file.WriteByte(0)
	file.Write(utc)
	file.WriteString("\n" + rules + "\n")
	return file.Bytes()
}
