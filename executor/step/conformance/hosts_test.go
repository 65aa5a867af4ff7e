package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
	"github.com/ratchetd/ratchet/telemetry"
	"github.com/ratchetd/ratchet/telemetry/dnstest"
)

// A check can tell what a host answers: so the owner's list binds it too.
func TestChecksTalkToNoHostThatTheOwnerLeftOut(t *testing.T) {
	p := policy.Policy{URLs: []string{"*.example.com", "10.0.0.1"}}
	for c, want := range map[string]string{
		`{"http":"http://127.0.0.1:8080/"}`:      "policy.urls",
		`{"http":"http://192.168.1.1/admin"}`:    "policy.urls",
		`{"tcp":"127.0.0.1:22"}`:                 "policy.urls",
		`{"tcp":"[::1]:22"}`:                     "policy.urls",
		`{"http":"https://a.EXAMPLE.com./x"}`:    "",
		`{"tcp":"10.0.0.1:443"}`:                 "",
		`{"http":"http://a.example.com@evil.x"}`: "policy.urls",
	} {
		for where, err := range map[string]error{
			"confirm":    check.Permit(p, json.RawMessage(c)),
			"diagnostic": diagnostic.Kind{Policy: p}.Check(json.RawMessage(`{"checks":[` + c + `]}`)),
		} {
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s of %s: got %v, want %q", where, c, err, want)
			}
		}
	}
}

// Who owns a name that the owner allowed can have it lead to the device itself.
func TestANameThatLeadsToTheDeviceItselfIsNotFollowed(t *testing.T) {
	server := dnstest.Serve(t) // which says 127.0.0.1, whatever is asked
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
	usual := net.DefaultResolver
	net.DefaultResolver = resolver
	t.Cleanup(func() { net.DefaultResolver = usual })
	asked := 0
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	url := "http://rebound.example.com:" + port + "/"
	for _, owner := range [][]string{{"*.example.com"}, {"rebound.example.com"}} {
		p := policy.Policy{URLs: owner}
		a := steptest.NewAttempt(t, `{"url":%q,"unverified":true,"to":%q}`, url, filepath.Join(t.TempDir(), "f"))
		const why = "rebound.example.com leads to 127.0.0.1, which is this device or a neighbour on its wire: policy.urls must name that address"
		steptest.WantError(t, a.Run(t.Context(), step.Download{Policy: p}), why)
		a = steptest.NewAttempt(t, `{"paths":["/etc/hostname"],"url":%q}`, url)
		steptest.WantError(t, a.Run(t.Context(), upload.Kind{Policy: p}), why)
		k := check.Checker{Probes: telemetry.Prober{Resolver: resolver, Permit: p.Reach}}
		for _, c := range []string{`{"http":"` + url + `"}`, `{"tcp":"rebound.example.com:` + port + `"}`} {
			steptest.WantError(t, k.Check(t.Context(), json.RawMessage(c)), why)
		}
	}
	if asked > 0 {
		t.Errorf("the device itself was asked %d times", asked)
	}
	p := policy.Policy{URLs: []string{"*.example.com", "127.0.0.1"}}
	a := steptest.NewAttempt(t, `{"url":%q,"unverified":true,"to":%q}`, url, filepath.Join(t.TempDir(), "f"))
	if err := a.Run(t.Context(), step.Download{Policy: p}); err != nil {
		t.Errorf("where the owner names the address: %v", err)
	}
}

func TestOnlyWhatIsNearMustBeNamedByItsAddress(t *testing.T) {
	p := policy.Policy{URLs: []string{"*.example.com", "192.168.*", "localhost", "169.254.7.7"}}
	for _, c := range []struct {
		host, ip string
		refused  bool
	}{
		{"a.example.com", "127.0.0.1", true}, {"a.example.com", "127.9.9.9", true}, {"a.example.com", "::1", true}, {"a.example.com", "::ffff:127.0.0.1", true},
		{"a.example.com", "169.254.169.254", true}, {"a.example.com", "fe80::1%eth0", true}, {"a.example.com", "0.0.0.0", true}, {"a.example.com", "224.0.0.1", true},
		{"a.example.com", "93.184.216.34", false}, {"a.example.com", "10.1.2.3", false}, {"192.168.1.1", "192.168.1.1", false},
		{"localhost", "127.0.0.1", false}, {"a.example.com", "169.254.7.7", false}, {"proxy.of.the.owner", "127.0.0.1", false},
	} {
		if err := p.Address(c.host, netip.MustParseAddr(c.ip)); (err != nil) != c.refused {
			t.Errorf("%s at %s: got %v", c.host, c.ip, err)
		}
	}
	if err := (policy.Policy{}).Address("a", netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Errorf("without a rule: %v", err)
	}
}

// A redirect leads a check where the job could not.
func TestACheckFollowsNoRedirectBeyondTheList(t *testing.T) {
	reached := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(strings.Replace(inner.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	defer outer.Close()
	p := policy.Policy{URLs: []string{"127.0.0.1"}}
	k := check.Checker{Probes: telemetry.Prober{Permit: p.Reach}}
	err := k.Check(t.Context(), json.RawMessage(fmt.Sprintf(`{"http":%q}`, outer.URL)))
	if steptest.WantError(t, err, "localhost: policy.urls"); reached {
		t.Error("it was followed")
	}
}

// Reports are read by more people than may use what an address carries.
func TestNoReportShowsWhatAnAddressCarries(t *testing.T) {
	for _, c := range []string{
		`{"http":"http://user:hunter2@127.0.0.1:1/x?sig=hunter2#hunter2","within":"1s"}`,
		`{"command":["false","http://user:hunter2@h/?sig=hunter2","--url=https://h/x?token=hunter2"]}`,
	} {
		a := steptest.NewAttempt(t, `{"checks":[%s]}`, c)
		err := a.Run(t.Context(), diagnostic.Kind{})
		if said := fmt.Sprint(err, a.Out.String(), string(a.LastResult)); err == nil || strings.Contains(said, "hunter2") {
			t.Errorf("%s: told %s", c, said)
		}
	}
}
