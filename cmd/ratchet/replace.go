package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/spf13/cobra"
)

func (s *session) replaceCommand() *cobra.Command {
	var g sureFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "replace OLD NEW",
		Short: "Give a new device the jobs of one that is gone, and forget that",
		Long: `Replace offers the jobs that were for the old device alone to the new one, and then
forgets the old one. It asks first. A job that names the old device in its audience
is for no other, and a signed one cannot be changed: those are named, and must be
submitted again.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				if err := checkDevice(id); err != nil {
					return err
				}
			}
			if args[0] == args[1] {
				return usageError{fmt.Errorf("%s cannot replace itself", args[0])}
			}
			return s.replace(cmd.Context(), args[0], args[1], force, g)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return s.known(cmd.Context()).Devices, cobra.ShellCompDirectiveNoFileComp
		},
	}
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also when the old device is online")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) replace(ctx context.Context, old, new string, force bool, g sureFlags) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := fleet.Read(ctx, c, fleet.Own(old))
	if err != nil {
		return err
	}
	if f.Device(old).Presence.Online && !force && !g.dry {
		return fmt.Errorf("%s is online: is it the right one? Stop it first, or --force", old)
	}
	theirs, err := retained(ctx, c, dialect.Topic{To: "device/" + old, Name: "+"}.Below(c.Root()), dialect.Topic{To: "device/" + new, Name: "+"}.Below(c.Root()))
	if err != nil {
		return err
	}
	if !f.Device(old).Said() && !slices.ContainsFunc(theirs, func(m link.Message) bool { return m.Topic.To == "device/"+old }) {
		return s.unknown(ctx, c, f, old)
	}
	move, err := s.inherits(theirs, old, new)
	if err != nil {
		return err
	}
	for _, m := range move {
		fmt.Fprintf(s.out, "%s  goes to %s\n", screen.Line(m.Topic.Name), m.Topic.To)
	}
	if !g.dry {
		if err := s.sure(g, fmt.Sprintf("Give %s to %s and forget %s", count(len(move), "job"), new, old)); err != nil {
			return err
		}
		for _, m := range move {
			if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
				return err
			}
		}
		g.yes = true // that was asked
	}
	return s.forget(ctx, c, old, force, g)
}

// inherits are the offers that the new device gets. What lies there already under
// the same id is never replaced.
func (s *session) inherits(theirs []link.Message, old, new string) ([]link.Message, error) {
	var move []link.Message
	for _, m := range theirs {
		o := fleet.ReadOffer(m.Payload)
		late := !o.Job.Expires.IsZero() && time.Now().After(o.Job.Expires.Time)
		if m.Topic.To != "device/"+old || o.Cancel || o.Err != nil || late {
			continue
		}
		if slices.Contains(o.Job.Audience, "device/"+old) && !slices.Contains(o.Job.Audience, "device/"+new) {
			fmt.Fprintf(s.err, "%s stays behind: it is meant for %s alone: submit it again\n", screen.Line(m.Topic.Name), strings.Join(o.Job.Audience, ", "))
			continue
		}
		m.Topic.To = "device/" + new
		for _, there := range theirs {
			if there.Topic == m.Topic && !bytes.Equal(there.Payload, m.Payload) {
				return nil, fmt.Errorf("%s is offered to %s already, and is another document: cancel one of them first", m.Topic.Name, new)
			}
		}
		move = append(move, m)
	}
	return move, nil
}
