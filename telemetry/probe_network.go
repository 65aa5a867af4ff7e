package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/telemetry/resolver"
)

// DNS measures how long it takes to find a name's addresses, in milliseconds.
func (p Prober) DNS(ctx context.Context, name string) (Reading, error) {
	start := time.Now()
	found, err := p.resolver(ctx).LookupHost(ctx, name)
	if err != nil {
		return Reading{}, err
	}
	return inMillis(time.Since(start), strings.Join(found[:min(len(found), 4)], " ")), nil
}

// TCP measures how long it takes to connect to "host:port", in milliseconds.
func (p Prober) TCP(ctx context.Context, address string) (Reading, error) {
	start := time.Now()
	conn, err := p.dial(ctx, "tcp", address)
	if err != nil {
		return Reading{}, err
	}
	took := time.Since(start)
	return inMillis(took, "connected to "+conn.RemoteAddr().String()), conn.Close()
}

// HTTP measures how long it takes until an answer begins, in milliseconds. The
// answer must have the wanted status, or with 0 any below 400. Redirects are
// followed unless one is what is wanted.
func (p Prober) HTTP(ctx context.Context, address string, status int) (Reading, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Reading{}, withoutURL(err)
	}
	var from atomic.Pointer[string]
	client := p.client(func(address string) { from.Store(&address) })
	defer client.CloseIdleConnections()
	if status/100 == 3 {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return Reading{}, withoutURL(err)
	}
	defer resp.Body.Close()
	took := time.Since(start)
	r := inMillis(took, fmt.Sprintf("status %d from %s%s", resp.StatusCode, *from.Load(), certificate(resp)))
	switch {
	case status == 0 && resp.StatusCode >= 400:
		return r, fmt.Errorf("status %d, want one below 400", resp.StatusCode)
	case status != 0 && resp.StatusCode != status:
		return r, fmt.Errorf("status %d, want %d", resp.StatusCode, status)
	}
	return r, nil
}

func certificate(resp *http.Response) string {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return ""
	}
	left := time.Until(resp.TLS.PeerCertificates[0].NotAfter)
	return fmt.Sprintf(", certificate valid for %d days", int(left.Hours()/24))
}

// client shares nothing with other probes: a connection that is still open
// from the last one would prove nothing. connected is told the address at each
// connection's other end.
func (p Prober) client(connected func(address string)) *http.Client {
	return &http.Client{CheckRedirect: p.redirect, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := p.dial(ctx, network, address)
			if err == nil {
				connected(conn.RemoteAddr().String())
			}
			return conn, err
		},
		TLSClientConfig: p.TLS.Clone(),

		MaxResponseHeaderBytes: 64 << 10,
	}}
}

// withoutURL leaves out the address, which may hold a password or a token.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// redirect follows where Permit lets it.
func (p Prober) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > 10 {
		return errors.New("more than 10 redirects")
	}
	if p.Permit == nil {
		return nil
	}
	return p.Permit(req.URL.Hostname(), netip.Addr{})
}

// dial connects where Permit lets it, to the first address that answers, whichever family
// it is of. The error names all that were tried.
func (p Prober) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := p.dialer(ctx)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var tried []string
	d.ControlContext = func(_ context.Context, _, found string, _ syscall.RawConn) error {
		mu.Lock()
		tried = append(tried, found)
		mu.Unlock()
		at, err := netip.ParseAddrPort(found)
		if err != nil || p.Permit == nil {
			return err
		}
		return p.Permit(host, at.Addr())
	}
	conn, err := d.DialContext(ctx, network, address)
	mu.Lock()
	defer mu.Unlock()
	if err != nil && len(tried) > 1 {
		err = fmt.Errorf("%w (tried %s)", err, strings.Join(tried, ", "))
	}
	return conn, err
}

func (p Prober) dialer(ctx context.Context) *net.Dialer {
	return &net.Dialer{Resolver: p.resolver(ctx)}
}

// resolver asks the servers that resolv.conf names now. Go reads that file at
// most every five seconds, so right after a repair it would ask the old ones.
func (p Prober) resolver(ctx context.Context) *net.Resolver {
	if p.Resolver != nil {
		return p.Resolver
	}
	servers := nameservers(treeOf(ctx))
	var next atomic.Uint32
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, server string) (net.Conn, error) {
		if len(servers) > 0 && !slices.Contains(servers, server) {
			server = servers[int(next.Add(1)-1)%len(servers)]
		}
		return resolver.Dial(ctx, network, server)
	}}
}

func nameservers(t tree) []string {
	var list []string
	text, _ := os.ReadFile(filepath.Join(t.etc, "resolv.conf"))
	for row := range strings.Lines(string(text)) {
		if f := strings.Fields(row); len(f) >= 2 && f[0] == "nameserver" {
			list = append(list, net.JoinHostPort(f[1], "53"))
		}
	}
	return list
}
