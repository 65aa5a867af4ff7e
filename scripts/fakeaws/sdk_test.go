package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"reflect"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
	"github.com/ratchetd/ratchet/scripts/fakecloud"
	"github.com/ratchetd/ratchet/scripts/fakecloud/nodeclient"
)

// site is a service that asks for a certificate, and how gw-1 gets there: host,
// port, its name and the folder with certificates.
func site(t *testing.T) (*jobs.Service, []string) {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("AWS's own clients are tried with RATCHET_E2E=1")
	}
	certs := t.TempDir()
	config, err := fakecloud.TLS(certs, "gw-1")
	if err != nil {
		t.Fatal(err)
	}
	config.ClientAuth, config.NextProtos = tls.RequireAndVerifyClientCert, jobs.Protocols
	s := &jobs.Service{TLS: config}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if drops := s.Drops(); len(drops) > 0 {
			t.Errorf("a real client was dropped for %q", drops)
		}
		s.Close()
	})
	_, port, err := net.SplitHostPort(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	return s, []string{"localhost", port, "gw-1", certs}
}

func offer(t *testing.T, s *jobs.Service, id, document string) {
	t.Helper()
	if err := s.Create(jobs.Job{ID: id, Targets: []string{"gw-1"}, Document: document}); err != nil {
		t.Fatal(err)
	}
}

func TestE2ETheFirstSDKOfAWSDoesTheJobsOfTheFake(t *testing.T) {
	s, to := site(t)
	ends := []string{"succeeded", "failed", "succeeded"}
	for i, end := range ends {
		offer(t, s, fmt.Sprint("job-", i), `{"end":"`+end+`"}`)
	}
	c := nodeclient.Start(t, "sdk", "jobs.js", append(to, fmt.Sprint(len(ends)))...)
	for i := range ends {
		var did struct{ Job string }
		if !c.Next(&did) || did.Job != fmt.Sprint("job-", i) {
			t.Errorf("got %q, want job-%d", did.Job, i)
		}
	}
	c.End()
	for i, want := range []string{"SUCCEEDED", "FAILED", "SUCCEEDED"} {
		e := s.Execution("gw-1", fmt.Sprint("job-", i))
		if e.Status != want || e.Details["progress"] != "100" || e.Version != 3 {
			t.Errorf("got %s, version %d, %v, want %s after two updates", e.Status, e.Version, e.Details, want)
		}
	}
}

func TestE2ETheSecondSDKOfAWSGetsTheServicesOwnAnswers(t *testing.T) {
	s, to := site(t)
	offer(t, s, "first", `{"n":1}`)
	offer(t, s, "second", `{"n":2}`)
	c := nodeclient.Start(t, "sdk", "jobs2.js", to...)
	var said map[string]any
	if !c.Next(&said) {
		c.End()
		t.Fatal("the client said nothing")
	}
	want := map[string]any{"queued": []any{"first", "second"}, "begun": "first", "details": map[string]any{"at": "start"}, "document": map[string]any{"n": 1.0},
		"timed": true, "mismatch": "VersionMismatch", "nowhere": "ResourceNotFound", "long": "InvalidRequest", "over": "SUCCEEDED",
		"again": "InvalidStateTransition", "next": "second"}
	for name, v := range want {
		if !reflect.DeepEqual(said[name], v) {
			t.Errorf("%s: got %v, want %v", name, said[name], v)
		}
	}
	s.Delete("second")
	offer(t, s, "third", `{"n":3}`) // while the client is away
	c.Say()
	var missed struct {
		Resumed bool
		Job     string
	}
	if !c.Next(&missed) || !missed.Resumed || missed.Job != "third" {
		t.Errorf("got %+v, want the third job out of the session", missed)
	}
	c.End()
}
