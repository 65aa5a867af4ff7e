package conformance_test

import (
	"os"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestE2EEveryCutOfAFetchedFirmware(t *testing.T) {
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("set RATCHET_E2E=1: it takes half a minute")
	}
	url, sum := steptest.Serve(t, steptest.Image("2.0"))
	for _, row := range steptest.Run(t, firmwareCase("firmware", `{"url":%q,"sha256":%q,"version":"2.0","board":"stand-in"}`, url, sum)) {
		t.Log(row)
	}
	for _, row := range steptest.Run(t, firmwareCase("firmware, no room", `{"url":%q,"sha256":%q,"version":"2.0","board":"stand-in"}`, url, sum)) {
		t.Log(row)
	}
}
