package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrUnnamed is an address near the device that the owner has not named.
var ErrUnnamed = errors.New("policy.urls must name that address")

// URL says why a job may not reach an address, or nil.
func (p Policy) URL(address string) error {
	if p.URLs == nil {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("policy.urls: no address can be read")
	}
	return p.Host(u.Hostname())
}

// Host says why a job may not reach a host, by its name or address, or nil.
func (p Policy) Host(host string) error {
	if p.URLs == nil || p.names(host) {
		return nil
	}
	return fmt.Errorf("%s: policy.urls does not allow this host", plainHost(host))
}

// Address says why a connection to a host may not go to the address that its name
// has led to, or nil: this device, and its neighbours on the wire, are reached only
// where policy.urls names their addresses. A host that it does not allow is the
// owner's proxy, for the job's own was judged before.
func (p Policy) Address(host string, ip netip.Addr) error {
	ip = ip.Unmap()
	near := ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast()
	if p.URLs == nil || !near || !p.names(host) || p.names(ip.WithZone("").String()) || plainHost(host) == "localhost" {
		return nil
	}
	return fmt.Errorf("%s leads to %s, which is this device or a neighbour on its wire: %w", plainHost(host), ip, ErrUnnamed)
}

// Reach is Host without an address, and Address with one.
func (p Policy) Reach(host string, ip netip.Addr) error {
	if !ip.IsValid() {
		return p.Host(host)
	}
	return p.Address(host, ip)
}

// names reports whether the owner has named a host. What follows % in an address is
// the job's own word, and no part of a name.
func (p Policy) names(host string) bool {
	whole := plainHost(host)
	address, _, _ := strings.Cut(whole, "%")
	return slices.ContainsFunc(p.URLs, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		return pattern == whole || covers(pattern, address)
	})
}

// plainHost is a host as people write it.
func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// Dial is net.Dialer's, to where the policy lets a job go.
func (p Policy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: func(_ context.Context, _, found string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(found)
		if err != nil {
			return err
		}
		return p.Address(host, at.Addr())
	}}
	return d.DialContext(ctx, network, address)
}
