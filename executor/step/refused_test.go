package step_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A port at which nobody listens is told within a minute, by its name; a server that
// was only started again is found.
func TestAPortThatRefusesIsToldSoon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	steptest.WriteFile(t, file, "content")
	for name, made := range map[string]func(*http.Client) (executor.Kind, string){
		"upload": func(c *http.Client) (executor.Kind, string) {
			return upload.Kind{Client: c}, fmt.Sprintf(`{"paths":[%q],"url":"http://host/p"}`, file)
		},
		"download": func(c *http.Client) (executor.Kind, string) {
			return step.Download{Client: c}, fmt.Sprintf(`{"url":"http://host/p","unverified":true,"to":%q}`, file+".to")
		},
	} {
		for _, back := range []time.Duration{time.Hour, 40 * time.Second} {
			synctest.Test(t, func(t *testing.T) { refuse(t, name, made, back) })
		}
	}
}

// refuse runs a step whose server is back after that time.
func refuse(t *testing.T, name string, made func(*http.Client) (executor.Kind, string), back time.Duration) {
	lines := make(steptest.Memory)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte("content"))
	})}
	go func() { _ = web.Serve(lines) }()
	defer time.Sleep(time.Minute) // the server lingers
	defer web.Close()
	began := time.Now()
	kind, with := made(&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if time.Since(began) < back {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		return lines.Dial(ctx, network, address)
	}}})
	err := steptest.NewAttempt(t, "%s", with).Run(t.Context(), kind)
	took := time.Since(began)
	switch {
	case back < time.Minute:
		if err != nil {
			t.Errorf("%s: got %v, want success: it is back", name, err)
		}
	case !errors.Is(err, syscall.ECONNREFUSED) || took > 61*time.Second:
		t.Errorf("%s: got %v after %s, want the refusal after a minute", name, err, took)
	default:
		steptest.WantError(t, err, "connect: connection refused, for 1m0s: no server listens there")
	}
}
