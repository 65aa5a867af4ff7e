// Package serve is the operator's server: it watches a broker, remembers, and
// answers over HTTP. Devices and the other commands never need it.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/watch"
	"golang.org/x/sync/errgroup"
)

const (
	shrinkEvery = 10 * time.Minute
	maxHeader   = 16 << 10 // bytes
	headerTime  = 10 * time.Second
	readTime    = 30 * time.Second
	idleTime    = 2 * time.Minute
	closeTime   = 3 * time.Second
)

// A Server answers over HTTP. Watcher, Memory and Log must be set.
type Server struct {
	Watcher *watch.Watcher
	Memory  *memory.Memory
	Keep    memory.Keep
	Guard   *guard.Guard
	Log     *slog.Logger
	// DeviceMetrics picks the devices that have metrics of their own, at most
	// DeviceLimit of them; nil is none.
	DeviceMetrics *fleet.Query
	DeviceLimit   int
	// Explain says what a job would do, a line for each thing.
	Explain func(text string) (job string, lines []string, err error)

	templates *template.Template
	streams   atomic.Int64
	mu        sync.Mutex
	reports   map[string]lately // by job
}

// Run watches and answers at the listener until ctx ends.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTime, ReadTimeout: readTime,
		IdleTimeout: idleTime, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Watcher.Run(ctx) })
	g.Go(func() error { return s.shrink(ctx) })
	g.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("answering at %s: %w", l.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if server.Shutdown(late) != nil {
			return server.Close() // a stream that goes on is cut
		}
		return nil
	})
	return g.Wait()
}

// shrink forgets what is older than it is to be kept, again and again.
func (s *Server) shrink(ctx context.Context) error {
	for {
		if err := s.Memory.Shrink(ctx, s.Keep, time.Now()); err != nil && ctx.Err() == nil {
			s.Log.Warn("forgetting what is old", "err", err)
		}
		select {
		case <-time.After(shrinkEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) handler() (http.Handler, error) {
	files, err := readAssets()
	if err == nil {
		s.templates, err = parse(files)
	}
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /events", s.events)
	mux.Handle("GET "+assetRoot, files)
	mux.HandleFunc("/", s.show)
	s.api(mux)
	s.Guard.Open = open
	return s.Guard.Before(mux), nil
}

// open reports whether anybody may have a path: what says nothing of the fleet, and
// pages, which show a login to whoever is not known.
func open(path string) bool {
	_, _, page := find(path)
	return page || path == "/healthz" || strings.HasPrefix(path, assetRoot)
}

// healthz says whether it works, to anybody who may reach the port.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	now := s.Watcher.Status()
	answer := map[string]any{"connected": now.Connected, "since": now.Since.UTC().Truncate(time.Second), "messages": now.Messages}
	if now.Broker != "" {
		answer["broker"] = now.Broker
	}
	if now.Database != "" {
		answer["database"] = now.Database
	}
	code := http.StatusOK
	if !now.Connected || now.Database != "" {
		code = http.StatusServiceUnavailable
	}
	sendJSON(w, code, answer)
}

func sendJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who is gone needs no answer
}
