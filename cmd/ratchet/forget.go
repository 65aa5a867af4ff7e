package main

import (
	"context"
	"fmt"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/spf13/cobra"
)

func (s *session) forgetCommand() *cobra.Command {
	var g sureFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "forget DEVICE",
		Short: "Clear all that a device has left at the broker",
		Long: `Forget clears what a device that is gone has left: its state, facts, alerts and
reports, and the offers for it alone. It asks first. A device that is online would
say all of it again: it is forgotten with --force only.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkDevice(args[0]); err != nil {
				return err
			}
			c, err := s.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return s.forget(cmd.Context(), c, args[0], force, g)
		},
		ValidArgsFunction: s.completeDevices,
	}
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also a device that is online")
	s.link.Flags(cmd.Flags())
	return cmd
}

// left are the filters for all that a device and its operators have left.
func left(root, device string) []string {
	return append(fleet.Own(device)(root), dialect.Topic{To: "device/" + device, Name: "+"}.Below(root))
}

func (s *session) forget(ctx context.Context, c *link.Client, device string, force bool, g sureFlags) error {
	all, err := retained(ctx, c, left(c.Root(), device)...)
	if err != nil {
		return err
	}
	f := fleet.New()
	for _, m := range all {
		f.Apply(m)
	}
	switch {
	case len(all) == 0:
		return s.unknown(ctx, c, f, device)
	case f.Device(device).Presence.Online && !force && !g.dry:
		return fmt.Errorf("%s is online, and would say all of it again: stop it first, or --force", device)
	}
	return s.clear(ctx, c, all, g, device)
}
