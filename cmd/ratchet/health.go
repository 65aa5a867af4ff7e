package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) healthCommand() *cobra.Command {
	var follow, asJSON bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "health DEVICE",
		Short: "Show what a device feels, when it next says so",
		Long: `Health waits for the next sample of a device and shows it. No broker keeps samples:
a device sends one every telemetry.publish, five minutes unless it is set. With
--follow it goes on. The exit code is 4 when nothing came.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkDevice(args[0]); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			if follow {
				ctx = cmd.Context()
			}
			defer cancel()
			return s.health(ctx, args[0], follow, asJSON)
		},
		ValidArgsFunction: s.completeDevices,
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "show every sample that comes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each sample as one JSON object a line")
	spanVar(cmd.Flags(), &patience, "timeout", 6*time.Minute, time.Second, "how long to wait for one, without --follow")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) health(ctx context.Context, id string, follow, asJSON bool) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := s.readOwn(ctx, c, id)
	if err != nil {
		return err
	}
	if d := f.Device(id); !d.Presence.Online {
		fmt.Fprintf(s.err, "%s is not online: a sample comes when it is\n", id)
	}
	for {
		raw, err := nextSample(ctx, c, f, id)
		switch {
		case err != nil && ctx.Err() == context.DeadlineExceeded:
			fmt.Fprintf(s.err, "%s has sent no sample\n", id)
			return errNobody
		case err != nil:
			return err
		case asJSON:
			err = s.out.JSON(raw)
		default:
			err = s.sample(raw)
		}
		if err != nil || !follow {
			return err
		}
	}
}

// nextSample waits for the device's next one.
func nextSample(ctx context.Context, c *link.Client, f *fleet.Fleet, id string) (json.RawMessage, error) {
	for {
		select {
		case m := <-c.Feed():
			f.Apply(m)
			if raw := f.Device(id).Health; m.Topic.Part == "health" && json.Valid(raw) {
				return raw, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// A sample is what of one is shown; --json shows all.
type sample struct {
	Time   executor.Time `json:"time"`
	Uptime float64       `json:"uptime"`
	CPU    struct {
		Percent, Celsius *float64
	} `json:"cpu"`
	Load   struct{ M1 float64 }
	Memory struct {
		Percent   float64
		Available int64
	}
	Disk []struct {
		Path    string
		Percent float64
	}
	Network []struct {
		Name           string
		RxRate, TxRate float64
	}
}

func (s *session) sample(raw json.RawMessage) error {
	var v sample
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("reading the sample: %w", err)
	}
	words := fmt.Sprintf("%s  up %v  load %.2f  memory %.0f %%", v.Time.Local().Format(time.DateTime), (time.Duration(v.Uptime) * time.Second).Round(time.Second), v.Load.M1, v.Memory.Percent)
	if v.CPU.Percent != nil {
		words += fmt.Sprintf("  cpu %.0f %%", *v.CPU.Percent)
	}
	if v.CPU.Celsius != nil {
		words += fmt.Sprintf("  %.0f °C", *v.CPU.Celsius)
	}
	for _, d := range v.Disk {
		words += fmt.Sprintf("  %s %.0f %%", d.Path, d.Percent)
	}
	for _, n := range v.Network {
		if n.RxRate > 0 || n.TxRate > 0 {
			words += fmt.Sprintf("  %s in %.1f kB/s out %.1f kB/s", n.Name, n.RxRate/1000, n.TxRate/1000)
		}
	}
	_, err := fmt.Fprintln(s.out, screen.Line(words))
	return err
}
