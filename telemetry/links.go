package telemetry

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Link is one network interface among the facts.
type Link struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	MAC       string   `json:"mac,omitempty"`
}

// readLinks lists the interfaces that are not virtual, without the addresses
// that privacy extensions make up and change every day.
func readLinks(t tree) []Link {
	var names []string
	dirs, _ := filepath.Glob(filepath.Join(t.sys, "class/net/*"))
	for _, dir := range dirs {
		names = append(names, filepath.Base(dir))
	}
	passing := temporary(t)
	links := []Link{}
	for _, name := range realInterfaces(t, names) {
		links = append(links, Link{name, lasting(addresses(name), passing), mac(t, name)})
	}
	return links
}

func mac(t tree, name string) string {
	m := word(t.sys, "class/net", name, "address")
	if strings.Trim(m, "0:") == "" { // links without one say so in zeros
		return ""
	}
	return m
}

func addresses(name string) []netip.Addr {
	var list []netip.Addr
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	found, _ := i.Addrs()
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr())
		}
	}
	return list
}

// lasting is never nil, so that an interface without addresses shows an empty list.
func lasting(list []netip.Addr, passing map[netip.Addr]bool) []string {
	out := []string{}
	for _, a := range list {
		if !passing[a] {
			out = append(out, a.String())
		}
	}
	slices.Sort(out)
	return out
}

// temporary reads which IPv6 addresses the kernel flags so, from rows such as
// "20010db8000000000000000000000001 02 40 00 01 eth0".
func temporary(t tree) map[netip.Addr]bool {
	const flagTemporary = 0x01 // IFA_F_TEMPORARY
	set := map[netip.Addr]bool{}
	text, _ := os.ReadFile(filepath.Join(t.proc, "net/if_inet6"))
	for row := range strings.Lines(string(text)) {
		f := strings.Fields(row)
		if len(f) < 6 {
			continue
		}
		flags, _ := strconv.ParseUint(f[4], 16, 32)
		raw, _ := hex.DecodeString(f[0])
		if a, ok := netip.AddrFromSlice(raw); ok && flags&flagTemporary != 0 {
			set[a] = true
		}
	}
	return set
}
