package main

import (
	"context"
	"fmt"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/spf13/cobra"
)

func (s *session) alertsCommand() *cobra.Command {
	var where whereFlag
	var g listFlags
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "List what devices raise",
		Long: `Alerts lists every alert that is raised, the critical ones first.

` + whereHelp,
		Example: `  ratchet alerts --where 'severity=critical site=berlin'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := s.query(where)
			if err != nil {
				return err
			}
			return s.alerts(cmd.Context(), q, g)
		},
	}
	where.flags(cmd.Flags())
	g.flags(cmd.Flags())
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) alerts(ctx context.Context, q *fleet.Query, g listFlags) error {
	f, err := s.readFleet(ctx, fleet.Devices, fleet.Alerts)
	if err != nil {
		return err
	}
	lines := f.AlertLines(q)
	heads := []string{"DEVICE", "ALERT", "SEVERITY", "SINCE", "VALUE", "RULE"}
	return list(s, g, lines, heads, func(a fleet.AlertLine) []any {
		return []any{a.Device, a.Name, a.Severity, a.Since, string(a.Value), a.Rule}
	}, f.Complete(fmt.Sprintf("%s on %s", count(len(lines), "alert"), count(len(f.Devices()), "device"))))
}
