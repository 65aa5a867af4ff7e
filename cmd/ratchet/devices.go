package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/spf13/cobra"
)

func (s *session) devicesCommand() *cobra.Command {
	var where string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices",
		Long: `Devices lists every device that the broker knows of: whether it is online, its
agent's version, its board, groups and tags. --where takes jq over a device's
facts, as a job's target does.`,
		Example: `  ratchet devices --where '.tags.site == "berlin"'
  ratchet devices --json | jq '.[].facts.board'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keep, err := filterOf(where)
			if err != nil {
				return usageError{err}
			}
			return s.devices(cmd.Context(), where, keep, asJSON)
		},
	}
	cmd.Flags().StringVar(&where, "where", "", "only devices for whose facts this `jq` is true")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	s.link.Flags(cmd.Flags())
	return cmd
}

// filterOf makes a filter of jq over facts. A device on whose facts it fails is
// not kept, as with a job's target.
func filterOf(where string) (func(*fleet.Device) bool, error) {
	if where == "" {
		return func(*fleet.Device) bool { return true }, nil
	}
	e, err := jq.Compile(where)
	if err != nil {
		return nil, fmt.Errorf("--where: %w", err)
	}
	return func(d *fleet.Device) bool {
		yes, err := d.Meets(e)
		return err == nil && yes
	}, nil
}

// A deviceLine is one device in the list.
type deviceLine struct {
	Device string          `json:"device"`
	Online bool            `json:"online"`
	Since  executor.Time   `json:"since,omitzero"`
	Agent  string          `json:"agent,omitempty"`
	Facts  json.RawMessage `json:"facts,omitempty"`
	known  fleet.Known
}

func (s *session) devices(ctx context.Context, where string, keep func(*fleet.Device) bool, asJSON bool) error {
	f, err := s.readFleet(ctx, fleet.Devices)
	if err != nil {
		return err
	}
	var list []deviceLine
	for _, d := range f.Devices() {
		if keep(d) {
			list = append(list, lineOf(d))
		}
	}
	if hint := executor.OfFacts(where); len(list) == 0 && hint != "" {
		fmt.Fprintln(s.err, "ratchet: --where:", hint)
	}
	if asJSON {
		return screen.JSONList(s.out, list)
	}
	t := show.NewTable(s.out, "DEVICE", "STATE", "SINCE", "AGENT", "ARCH", "GROUPS", "TAGS")
	for _, l := range list {
		t.Row(l.Device, l.state(), show.Time(l.Since), l.Agent, l.known.Board.Arch,
			strings.Join(l.known.Groups, ","), tagsInWords(l.known.Tags))
	}
	return t.Flush()
}

func lineOf(d *fleet.Device) deviceLine {
	l := deviceLine{Device: d.ID, Online: d.Presence.Online, Since: d.Presence.Since, Agent: d.Presence.Agent, known: d.Known}
	if l.Agent == "" {
		l.Agent = d.Known.Agent
	}
	if json.Valid(d.Facts) {
		l.Facts = d.Facts
	}
	return l
}

func (l deviceLine) state() string {
	if l.Online {
		return "online"
	}
	return "offline"
}

func tagsInWords(tags map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		words = append(words, name+"="+tags[name])
	}
	return strings.Join(words, ",")
}
