package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/watch"
	"github.com/spf13/cobra"
)

// serving is what the command line says of a server.
type serving struct {
	listen, database string
	silence          time.Duration
	keep             memory.Keep
}

func (s *session) serveCommand() *cobra.Command {
	v := serving{keep: memory.DefaultKeep()}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Keep what the fleet says, and answer over HTTP",
		Long: `Serve listens at the broker and remembers what no broker keeps: how jobs went on
each device, which alerts were raised, health over weeks. No device and no other
command needs it; it may be ended at any moment, and goes on where it was: what
comes meanwhile waits in the session that the broker keeps for this database.

/healthz says whether it works: 200, or 503 and why not.`,
		Example: `  ratchet serve --broker tls://broker:8883
  curl -s http://127.0.0.1:7788/healthz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.serve(cmd.Context(), v) },
	}
	f := cmd.Flags()
	f.StringVar(&v.listen, "listen", "127.0.0.1:7788", "`address` to answer at")
	f.StringVar(&v.database, "database", databaseFile(), "SQLite `file` for what is remembered")
	f.DurationVar(&v.silence, "stale", 0, "`time` without a word after which an online device is stale: 2.5 times telemetry.publish (12m30s)")
	f.DurationVar(&v.keep.Samples, "keep-samples", v.keep.Samples, "how long each sample of health is kept")
	f.DurationVar(&v.keep.Means, "keep-means", v.keep.Means, "how long means over 5 minutes are kept")
	f.DurationVar(&v.keep.Hours, "keep-hours", v.keep.Hours, "how long means over an hour are kept")
	f.DurationVar(&v.keep.History, "keep-history", v.keep.History, "how long jobs that ended, cleared alerts and actions are kept")
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
	case host != "localhost" && !net.ParseIP(host).IsLoopback():
		return fmt.Errorf("--listen %s: want a loopback address: whoever reaches the port sees the fleet", v.listen)
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
	l, err := net.Listen("tcp", v.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	log := slog.New(slog.NewTextHandler(s.err, nil))
	fmt.Fprintf(s.out, "http://%s/\n", l.Addr())
	server := &serve.Server{Watcher: &watch.Watcher{Link: s.link, Memory: m, Log: log, Silence: v.silence}, Memory: m, Keep: v.keep, Log: log}
	return server.Run(ctx, l)
}
