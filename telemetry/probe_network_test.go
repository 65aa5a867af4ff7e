package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/telemetry/dnstest"
)

// resolverAt asks one server, whatever resolv.conf says.
func resolverAt(server string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// closedPort is an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDNSProbeMeasuresTheLookup(t *testing.T) {
	got, err := Prober{Resolver: resolverAt(dnstest.Serve(t))}.DNS(t.Context(), "device.example.com")
	if err != nil || got.Value == nil || got.Unit != "ms" || got.Detail != "127.0.0.1" {
		t.Errorf("got %+v, %v, want milliseconds and 127.0.0.1", got, err)
	}
}

func TestDNSProbeFailsWithoutAServer(t *testing.T) {
	_, err := Prober{Resolver: resolverAt(closedPort(t))}.DNS(t.Context(), "device.example.com")
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want connection refused", err)
	}
}

// TestResolvConfIsReadForEachProbe: the resolver turns to the server that the
// file names now, when Go comes with one that it names no more.
func TestResolvConfIsReadForEachProbe(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	for _, server := range []string{"127.0.0.3", "127.0.0.4"} {
		write(t, "search lan\nnameserver "+server+"\n", dir, "etc/resolv.conf")
		conn, err := Prober{}.resolver(ctx).Dial(ctx, "udp", "127.0.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().String(); got != server+":53" {
			t.Errorf("got %s, want %s:53", got, server)
		}
		_ = conn.Close()
	}
}

func TestTCPProbeConnectsByName(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	p := Prober{Resolver: resolverAt(dnstest.Serve(t))}
	got, err := p.TCP(t.Context(), net.JoinHostPort("device.example.com", port))
	if err != nil || got.Value == nil || got.Unit != "ms" {
		t.Errorf("got %+v, %v, want milliseconds", got, err)
	}
	if _, err := p.TCP(t.Context(), closedPort(t)); err == nil {
		t.Error("a closed port: got no error")
	}
}

// A name has several addresses, of which some lead nowhere: the others count.
func TestAProbeTriesAllAddressesAndNamesTheOneThatAnswered(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	p := Prober{Resolver: resolverAt(dnstest.ServeDead(t))}
	at := net.JoinHostPort("device.example.com", port)
	if got, err := p.TCP(t.Context(), at); err != nil || got.Detail != "connected to 127.0.0.1:"+port {
		t.Errorf("tcp: got %+v, %v", got, err)
	}
	if got, err := p.HTTP(t.Context(), "http://"+at, 404); err != nil || got.Detail != "status 404 from 127.0.0.1:"+port {
		t.Errorf("http: got %+v, %v", got, err)
	}
	got, err := p.Ping(t.Context(), "device.example.com")
	if errors.As(err, new(Unknown)) {
		t.Skip(err)
	}
	if err != nil || !strings.HasPrefix(got.Detail, "127.0.0.1") {
		t.Errorf("ping: got %+v, %v", got, err)
	}
	_, closed, _ := net.SplitHostPort(closedPort(t))
	if _, err := p.TCP(t.Context(), net.JoinHostPort("device.example.com", closed)); err == nil || !strings.Contains(err.Error(), "127.0.0.1:"+closed) {
		t.Errorf("got %v, want all addresses named", err)
	}
}

func TestHTTPProbeJudgesTheStatus(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	for _, c := range []struct {
		path string
		want int
		err  string
	}{
		{"/", 0, ""},
		{"/moved", 0, ""},
		{"/moved", 302, ""},
		{"/broken", 503, ""},
		{"/broken", 0, "status 503, want one below 400"},
		{"/", 404, "status 200, want 404"},
	} {
		got, err := Prober{}.HTTP(t.Context(), server.URL+c.path, c.want)
		if text := errText(err); text != c.err || got.Value == nil {
			t.Errorf("%s, want %d: got %q and %+v, want %q and a time", c.path, c.want, text, got, c.err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHTTPSProbeReportsTheDaysLeft(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := (Prober{}).HTTP(t.Context(), server.URL, 404); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a certificate that nobody trusts: got %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	got, err := Prober{TLS: &tls.Config{RootCAs: roots}}.HTTP(t.Context(), server.URL, 404)
	if err != nil || !regexp.MustCompile(`^status 404 from 127\.0\.0\.1:\d+, certificate valid for \d+ days$`).MatchString(got.Detail) {
		t.Errorf("got %+v, %v, want the days left", got, err)
	}
}

func TestHTTPErrorsHoldNoAddress(t *testing.T) {
	_, err := Prober{}.HTTP(t.Context(), "http://user:sesame@"+closedPort(t)+"/?token=sesame", 0)
	if err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("got %v, want an error without the secret", err)
	}
}

func TestNetworkProbesEndWithTheirContext(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := Prober{Resolver: resolverAt(silent.LocalAddr().String())}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := p.DNS(ctx, "device.example.com"); err == nil {
		t.Error("dns: got no error from a server that says nothing")
	}
	if _, err := p.HTTP(ctx, "http://device.example.com/", 0); err == nil {
		t.Error("http: got no error from a server that says nothing")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s, want about 50ms", took)
	}
}
