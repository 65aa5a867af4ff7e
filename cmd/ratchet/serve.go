package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/watch"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/webhook"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// serving is what the command line says of a server.
type serving struct {
	listen, database, tokens string
	cert, key                string
	names                    []string
	silence                  time.Duration
	keep                     memory.Keep
	metrics                  string
	limit                    int
	carry                    bool
	webhook, secret          string
}

func (s *session) serveCommand() *cobra.Command {
	v := serving{keep: memory.DefaultKeep()}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Show the fleet on a page, and keep what it says",
		Long: `Serve listens at the broker and remembers what no broker keeps: how jobs went on
each device, which alerts were raised, health over weeks. No device and no other
command needs it; it may be ended at any moment, and goes on where it was: what
comes meanwhile waits in the session that the broker keeps for this database.

It prints the address of its page, with a token behind the #. /api/v1 is for programs (/api/v1/openapi.json describes it), /metrics for
Prometheus: aggregates, and with --device-metrics figures of single devices.
/healthz says whether it works: 200, or 503 and why not; it alone wants no token.

Tokens lie in a file beside the database, one a line: ROLE NAME TOKEN, where the role
is viewer, operator or admin. The first start makes one. What is done by way of the
server is noted with the name. Rollouts that nobody carries it carries on. Beyond loopback it answers over TLS only.`,
		Example: `  ratchet serve --broker tls://broker:8883
  curl -s http://127.0.0.1:7788/healthz
  ratchet serve --listen :7788 --tls-cert serve.pem --tls-key serve.key --name fleet.example.com
  ratchet serve --device-metrics '.tags.site == "berlin"' --device-limit 500`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.serve(cmd.Context(), v) },
	}
	f := cmd.Flags()
	f.StringVar(&v.listen, "listen", "127.0.0.1:7788", "`address` to answer at")
	f.StringVar(&v.database, "database", databaseFile(), "SQLite `file` for what is remembered")
	f.StringVar(&v.tokens, "tokens", "", "`file` with the tokens (beside the database: FILE.tokens)")
	f.StringArrayVar(&v.names, "name", nil, "a further host `name` by which it is asked for; may be repeated")
	f.StringVar(&v.cert, "tls-cert", "", "`file` with the server's certificate, and those that signed it")
	f.StringVar(&v.key, "tls-key", "", "`file` with the certificate's key")
	f.BoolVar(&v.carry, "carry", true, "carry on the rollouts that nobody carries, as 'ratchet rollout run --keep' does")
	f.StringVar(&v.webhook, "webhook", "", "`URL` that is told of alerts, failed jobs and rollouts that stop")
	f.StringVar(&v.secret, "webhook-secret", "", "`file` with the secret that signs what the webhook is told")
	f.StringVar(&v.metrics, "device-metrics", "", "metrics of single devices for which this `jq` is true")
	f.IntVar(&v.limit, "device-limit", 2000, "how many devices have metrics of their own, at most")
	spanVar(f, &v.silence, "stale", 0, 0, "`time` without a word after which an online device is stale: 2.5 times telemetry.publish (12m30s)")
	spanVar(f, &v.keep.Samples, "keep-samples", v.keep.Samples, 0, "how long each sample of health is kept")
	spanVar(f, &v.keep.Means, "keep-means", v.keep.Means, 0, "how long means over 5 minutes are kept")
	spanVar(f, &v.keep.Hours, "keep-hours", v.keep.Hours, 0, "how long means over an hour are kept")
	spanVar(f, &v.keep.History, "keep-history", v.keep.History, 0, "how long jobs that ended, cleared alerts and actions are kept")
	s.link.Flags(f)
	return cmd
}

// databaseFile is where the database lies that nobody names.
func databaseFile() string {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "ratchet", "serve.db")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "ratchet", "serve.db")
}

func (v serving) validate() error {
	host, _, err := net.SplitHostPort(v.listen)
	switch {
	case err != nil:
		return fmt.Errorf("--listen %q: want an address and a port, such as 127.0.0.1:7788", v.listen)
	case (v.cert == "") != (v.key == ""):
		return errors.New("--tls-cert and --tls-key belong together")
	case v.cert == "" && host != "localhost" && !net.ParseIP(host).IsLoopback():
		return fmt.Errorf("--listen %s: beyond loopback whoever is on the way reads along: give --tls-cert and --tls-key, or listen at 127.0.0.1 behind a proxy and --name it", v.listen)
	case v.database == "":
		return errors.New("no home directory: say with --database where to remember")
	}
	return nil
}

func (s *session) serve(ctx context.Context, v serving) error {
	if err := v.validate(); err != nil {
		return usageError{err}
	}
	if err := s.ready(); err != nil {
		return err
	}
	m, err := memory.Open(ctx, v.database)
	if err != nil {
		return err
	}
	defer m.Close()
	logger := slog.New(slog.NewTextHandler(s.err, nil))
	server := &serve.Server{Watcher: &watch.Watcher{Link: s.link, Memory: m, Log: logger, Silence: v.silence}, Memory: m, Keep: v.keep, Log: logger, DeviceLimit: v.limit, Explain: explainText}
	if v.metrics != "" {
		if server.DeviceMetrics, err = fleet.ParseQuery(v.metrics); err != nil {
			return usageError{fmt.Errorf("--device-metrics: %w", err)}
		}
	}
	l, err := v.open(server)
	if err != nil {
		return err
	}
	scheme := "http"
	if server.Guard.Secure {
		scheme = "https"
	}
	fmt.Fprintf(s.out, "%s://%s/#t=%s\n", scheme, l.Addr(), server.Guard.Tokens.First())
	g, ctx := errgroup.WithContext(ctx)
	if hook, err := v.hook(logger); err != nil {
		return usageError{err}
	} else if hook != nil {
		server.Watcher.Notice = hook.Take
		g.Go(func() error { return hook.Run(ctx) })
	}
	if v.carry && ownRollouts(s.link.Broker) == nil {
		g.Go(func() error { return s.carryRollouts(ctx, logger) })
	}
	g.Go(func() error { return server.Run(ctx, l) })
	return g.Wait()
}

// hook is what tells another server of events; nil where none is named.
func (v serving) hook(logger *slog.Logger) (*webhook.Sender, error) {
	if v.webhook == "" {
		return nil, nil
	}
	u, err := url.Parse(v.webhook)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("--webhook %q: want an http:// or https:// address", v.webhook)
	}
	s := &webhook.Sender{URL: v.webhook, Log: logger}
	if v.secret != "" {
		text, err := private.Read(v.secret)
		if err != nil {
			return nil, fmt.Errorf("--webhook-secret: %w", err)
		}
		s.Secret = bytes.TrimSpace(text)
	}
	return s, nil
}

// carryAgain is after how long rollouts are carried again when the broker was lost.
const carryAgain = 10 * time.Second

// carryRollouts carries on what nobody carries, until ctx ends.
func (s *session) carryRollouts(ctx context.Context, logger *slog.Logger) error {
	for ctx.Err() == nil {
		if err := (rolloutCommands{s}).run(ctx, nil, true, false); err != nil && ctx.Err() == nil {
			logger.Warn("rollouts are not carried, trying again", "err", err)
		}
		select {
		case <-time.After(carryAgain):
		case <-ctx.Done():
		}
	}
	return nil
}

// open listens, and sets the guard that stands before what is answered.
func (v serving) open(server *serve.Server) (net.Listener, error) {
	tokens, err := guard.ReadTokens(cmp.Or(v.tokens, v.database+".tokens"), who())
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", v.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	server.Guard = &guard.Guard{Tokens: tokens, Names: v.names, Port: port, Secure: v.cert != ""}
	if v.cert == "" {
		return l, nil
	}
	pair, err := tls.LoadX509KeyPair(v.cert, v.key)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// explainText says what a job would do that is no file.
func explainText(text string) (job string, lines []string, err error) {
	f, err := jobfile.Read("-", strings.NewReader(text))
	if err != nil {
		return "", nil, err
	}
	j, err := f.Job()
	if err != nil {
		return "", nil, err
	}
	return j.ID, executor.Explain(agent.Kinds(), j), nil
}
