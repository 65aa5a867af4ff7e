package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// execLife is how long a command may wait for its device.
const execLife = time.Minute

func (s *session) execCommand() *cobra.Command {
	var file string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "exec DEVICE -- ARGV...",
		Short: "Run one command on a device and show what it prints",
		Long: `Exec runs a command on a device that is online, as a job of one step under the
device's policy, and shows its output as it comes. The offer is not kept by the
broker and counts for a minute; what the device reported of it is cleared afterwards.

The exit code is 3 when it failed there and 4 when the device has not answered.`,
		Example: `  ratchet exec gw-7 -- logread -l 20`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkDevice(args[0]); err != nil {
				return err
			}
			key, err := (&signFlags{file: file}).open()
			if err != nil {
				return err
			}
			return s.exec(cmd.Context(), args[0], args[1:], key, timeout)
		},
		ValidArgsFunction: s.completeDevices,
	}
	cmd.Flags().StringVar(&file, "sign", signFile(), "sign it with the secret key in `file` (RATCHET_SIGN)")
	spanVar(cmd.Flags(), &timeout, "timeout", time.Minute, time.Second, "how long the command may run")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) exec(ctx context.Context, device string, argv []string, key *signing.Key, timeout time.Duration) error {
	id := "exec-" + strings.ToLower(rand.Text()[:12])
	text, err := execJob(id, device, argv, timeout)
	if err != nil {
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := s.readOwn(ctx, c, device)
	if err != nil {
		return err
	}
	if !f.Device(device).Presence.Online {
		return fmt.Errorf("%s is not online, and a command of this kind waits for nobody: 'ratchet submit' does", device)
	}
	if err := c.Subscribe(ctx, fleet.Logs(device, id)(c.Root())...); err != nil {
		return err
	}
	e := dialect.Envelope{Job: string(text), Signature: key.Sign(text, id)}
	if err := c.PublishOnce(ctx, dialect.Topic{To: "device/" + device, Name: id}, e.Payload()); err != nil {
		return err
	}
	return s.execEnd(ctx, c, f, device, id, timeout)
}

func execJob(id, device string, argv []string, timeout time.Duration) ([]byte, error) {
	now := time.Now().UTC().Truncate(time.Second)
	return json.Marshal(map[string]any{
		"id": id, "created": now.Format(time.RFC3339), "expires": now.Add(execLife).Format(time.RFC3339), "audience": []string{"device/" + device},
		"steps": []any{map[string]any{"name": "exec", "stream": true, "timeout": timeout.String(), "ifInterrupted": executor.Fail, "command": map[string]any{"argv": argv}}},
	})
}

// execEnd shows the output until the command is done, and clears what it left.
func (s *session) execEnd(ctx context.Context, c *link.Client, f *fleet.Fleet, device, id string, timeout time.Duration) error {
	late, cancel := context.WithTimeout(ctx, execLife+timeout)
	defer cancel()
	last, streamed, err := s.stream(late, c, f, device, id)
	if last.State != "" {
		_ = c.Publish(context.WithoutCancel(ctx), dialect.Topic{Device: device, Part: "jobs", Name: id}, nil) // prune finds it later
	}
	switch {
	case err != nil && ctx.Err() == nil && last.State == "":
		fmt.Fprintf(s.err, "%s has not answered\n", device)
		return errNobody
	case err != nil:
		return err
	}
	if len(last.Steps) > 0 && !streamed && last.Steps[0].Output != "" {
		fmt.Fprintln(s.out, trimEnd(last.Steps[0].Output))
	}
	if last.State != executor.Succeeded {
		fmt.Fprintf(s.err, "%s: %s\n", screen.Line(device), show.Headline(last))
		return errJobFailed
	}
	return nil
}

func trimEnd(text string) string { return strings.TrimRight(text, "\r\n") }
