package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// sureFlags say whether what cannot be taken back is done, and without asking.
type sureFlags struct{ yes, dry bool }

func (g *sureFlags) flags(f *pflag.FlagSet) {
	f.BoolVar(&g.yes, "yes", false, "do not ask")
	f.BoolVar(&g.dry, "dry-run", false, "say what would be done, and do nothing")
}

// sure asks whether to go on. Without a terminal only --yes says so.
func (s *session) sure(g sureFlags, question string) error {
	if g.yes {
		return nil
	}
	if f, ok := s.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return fmt.Errorf("%s? Nothing was changed: say so with --yes", question)
	}
	fmt.Fprintf(s.err, "%s? Type yes: ", screen.Line(question))
	answer, _ := bufio.NewReader(s.in).ReadString('\n') // no answer is no
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// retained reads what lies below the filters, by topic.
func retained(ctx context.Context, c *link.Client, filters ...string) ([]link.Message, error) {
	lies := map[dialect.Topic]link.Message{}
	err := c.ReadRetained(ctx, func(m link.Message) {
		switch {
		case len(m.Payload) == 0 && !m.TooLong:
			delete(lies, m.Topic)
		case m.Retained:
			lies[m.Topic] = m
		}
	}, filters...)
	return byTopic(slices.Collect(maps.Values(lies))), err
}

func byTopic(all []link.Message) []link.Message {
	slices.SortFunc(all, func(a, b link.Message) int { return strings.Compare(a.Topic.Below(""), b.Topic.Below("")) })
	return all
}

// clear takes retained messages away, and names each.
func (s *session) clear(ctx context.Context, c *link.Client, all []link.Message, g sureFlags, what string) error {
	for _, m := range all {
		fmt.Fprintln(s.out, screen.Line(m.Topic.Below(c.Root())))
	}
	if g.dry || len(all) == 0 {
		fmt.Fprintf(s.out, "%s to clear\n", count(len(all), "message"))
		return nil
	}
	if err := s.sure(g, fmt.Sprintf("Clear %s of %s", count(len(all), "message"), what)); err != nil {
		return err
	}
	for _, m := range all {
		if err := c.Publish(ctx, m.Topic, nil); err != nil {
			return err
		}
	}
	there, err := lying(ctx, c, all)
	if err != nil {
		return err
	}
	for _, m := range there[:min(len(there), maxNamed)] {
		fmt.Fprintf(s.err, "still there: %s\n", screen.Line(m.Topic.Below(c.Root())))
	}
	if len(there) > 0 {
		return fmt.Errorf("%d of %s were cleared: this user may not write to the others, or a device said them again: the broker's access rules must let whoever clears them write below %s/device", len(all)-len(there), count(len(all), "message"), c.Root())
	}
	fmt.Fprintf(s.out, "%s cleared\n", count(len(all), "message"))
	return nil
}

// lying are those of the messages that lie there now, at the same topics. A broker
// says nothing of a message that its access rules keep out.
func lying(ctx context.Context, c *link.Client, all []link.Message) ([]link.Message, error) {
	var topics []string
	for _, m := range all {
		topics = append(topics, m.Topic.Below(c.Root()))
	}
	lies := map[dialect.Topic]link.Message{}
	err := c.ReadExactly(ctx, func(m link.Message) {
		if m.Retained {
			lies[m.Topic] = m
		}
	}, topics...)
	return byTopic(slices.Collect(maps.Values(lies))), err
}
