package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) deviceCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "device ID",
		Short: "Say all that is known of one device",
		Long: `Device shows what a device says of itself: whether it is online, its facts, the
alerts that it raises, and its jobs. What it feels now 'ratchet health' brings.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkDevice(args[0]); err != nil {
				return err
			}
			return s.device(cmd.Context(), args[0], asJSON)
		},
		ValidArgsFunction: s.completeDevices,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	s.link.Flags(cmd.Flags())
	return cmd
}

func checkDevice(id string) error {
	if !executor.ValidDevice(id) {
		return usageError{fmt.Errorf("%q is no device: want 1 to 64 of A-Z a-z 0-9 _ . -", id)}
	}
	return nil
}

// readDevice reads all that one device has left, of which something must be.
func (s *session) readDevice(ctx context.Context, id string) (*fleet.Device, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f, err := s.readOwn(ctx, c, id)
	if err != nil {
		return nil, err
	}
	s.leftOut(f)
	return f.Device(id), nil
}

// readOwn reads what one device has left; where that is nothing it says so, with the
// device that may be meant.
func (s *session) readOwn(ctx context.Context, c *link.Client, id string) (*fleet.Fleet, error) {
	f, err := fleet.Read(ctx, c, fleet.Own(id))
	if err != nil || f.Device(id).Said() {
		return f, err
	}
	return nil, s.unknown(ctx, c, f, id)
}

// unknown says that a device has left nothing. It reads the names of all, for the one
// that may be meant.
func (s *session) unknown(ctx context.Context, c *link.Client, f *fleet.Fleet, id string) error {
	if err := f.Add(ctx, c, fleet.Devices); err != nil {
		return err
	}
	s.leftOut(f)
	return f.Unknown(id)
}

// A deviceReport is all that is known of one device.
type deviceReport struct {
	deviceLine
	Alerts []dialect.Alert     `json:"alerts"`
	Jobs   []dialect.JobStatus `json:"jobs"`
}

func (s *session) device(ctx context.Context, id string, asJSON bool) error {
	d, err := s.readDevice(ctx, id)
	if err != nil {
		return err
	}
	r := deviceReport{deviceLine: lineOf(d, false), Alerts: []dialect.Alert{}, Jobs: d.JobLines()}
	for _, name := range slices.Sorted(maps.Keys(d.Alerts)) {
		r.Alerts = append(r.Alerts, d.Alerts[name])
	}
	if asJSON {
		return s.out.JSON(r)
	}
	fmt.Fprintf(s.out, "%s  %s since %s, agent %s\n", id, r.state, show.Time(r.Since), cmp.Or(screen.Line(r.Agent), "-"))
	facts := map[string]json.RawMessage{}
	_ = json.Unmarshal(d.Facts, &facts) // what is no object has no members
	t := show.NewTable(s.out, "FACT", "VALUE")
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		t.Row(name, strings.Trim(string(facts[name]), `"`))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	if err := s.alertTable(d); err != nil {
		return err
	}
	return s.jobTable(r.Jobs)
}

func (s *session) alertTable(d *fleet.Device) error {
	if len(d.Alerts) == 0 {
		return nil
	}
	t := show.NewTable(s.out, "ALERT", "SEVERITY", "SINCE", "VALUE", "RULE")
	for _, name := range slices.Sorted(maps.Keys(d.Alerts)) {
		a := d.Alerts[name]
		t.Row(name, a.Severity, show.Time(a.Since), string(a.Value), a.Rule)
	}
	defer fmt.Fprintln(s.out)
	return t.Flush()
}

func (s *session) jobTable(jobs []dialect.JobStatus) error {
	t := show.NewTable(s.out, "JOB", "STATE", "ACCEPTED", "ENDED")
	for _, j := range jobs {
		t.Row(j.Job, show.Headline(j), show.Time(j.AcceptedAt), show.Time(j.EndedAt))
	}
	return t.Flush()
}
