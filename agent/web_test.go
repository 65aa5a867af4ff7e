package agent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/update"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A board without a clock comes up in the past, where no certificate is valid
// yet. What it cannot be before is judged by for the broker: so for downloads.
func TestDownloadsHoldCertificatesAgainstTheAgentsClock(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	b := newBroker(t)
	a := newDevice(t, b, "").start().online(b)
	kinds := a.kinds()
	client := kinds["download"].(step.Download).Client
	for name, got := range map[string]*http.Client{
		"upload": kinds["upload"].(upload.Kind).Client, "update": kinds["update"].(update.Kind).Client, "firmware": kinds["firmware"].(firmware.Kind).Client,
	} {
		if got != client || got == nil {
			t.Errorf("%s has another client than download", name)
		}
	}
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	get := func() error {
		resp, err := client.Get(server.URL + "/")
		if err == nil {
			resp.Body.Close()
		}
		client.CloseIdleConnections()
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	a.clock.Start(server.Certificate().NotAfter.Add(time.Hour))
	if err := get(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v, want that the certificate is expired by the agent's clock", err)
	}
}
