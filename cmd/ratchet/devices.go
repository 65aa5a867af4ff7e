package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// whereHelp is what --where takes, for all commands that have it.
const whereHelp = `--where takes jq over {device, state, since, stale, facts, health, alerts, jobs};
facts can also be named as a job's target does (.tags.site). Shortcuts mean jq,
which is printed: site=berlin (a tag), state=online, state=failed (of any job),
agent<1.4, group=NAME, arch=NAME, model=NAME, os=NAME, alert=NAME, severity=NAME,
job=ID, device=ID. Several, with spaces between them, must all hold.`

// whereFlag picks devices.
type whereFlag struct{ texts []string }

func (w *whereFlag) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&w.texts, "where", nil, "only devices for which this `jq` is true, or shortcuts such as site=berlin")
}

// query reads the flag, and prints the jq that shortcuts mean.
func (s *session) query(w whereFlag) (*fleet.Query, error) {
	q, err := fleet.ParseQuery(w.texts...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--where: %w", err)}
	}
	if q.Text != strings.Join(w.texts, " and ") {
		fmt.Fprintf(s.err, "--where %s\n", screen.Line(q.Text))
	}
	return q, nil
}

func (s *session) devicesCommand() *cobra.Command {
	var where whereFlag
	var g listFlags
	var stale time.Duration
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices",
		Long: `Devices lists every device that the broker knows of: whether it is online, its
agent's version, its board, groups and tags.

` + whereHelp + `

That a device is online is its own word, or its broker's: where a broker's computer
dies nobody takes it back. --stale listens that long, 2.5 times telemetry.publish
at best, and calls stale those of which nothing came. It also brings the health
that --where can ask for, which no broker keeps.`,
		Example: `  ratchet devices --where site=berlin
  ratchet devices --where '.facts.board.memory < 100000000' --csv
  ratchet devices --where '.health.memory.percent > 90' --stale 5m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := s.query(where)
			if err != nil {
				return err
			}
			return s.devices(cmd.Context(), q, stale, g)
		},
	}
	where.flags(cmd.Flags())
	g.flags(cmd.Flags())
	spanVar(cmd.Flags(), &stale, "stale", 0, 0, "listen for this `time`, and say of which devices nothing came")
	s.link.Flags(cmd.Flags())
	return cmd
}

// A deviceLine is one device in the list.
type deviceLine struct {
	Device string          `json:"device"`
	Online bool            `json:"online"`
	Stale  *bool           `json:"stale,omitempty"` // nil where nobody listened
	Since  executor.Time   `json:"since,omitzero"`
	Agent  string          `json:"agent,omitempty"`
	Facts  json.RawMessage `json:"facts,omitempty"`
	state  string
	known  fleet.Known
}

func (s *session) devices(ctx context.Context, q *fleet.Query, stale time.Duration, g listFlags) error {
	parts := []fleet.Part{fleet.Devices}
	if q.Names("alerts") {
		parts = append(parts, fleet.Alerts)
	}
	if q.Names("jobs") {
		parts = append(parts, fleet.Statuses("+", "+"))
	}
	f, err := s.readAndListen(ctx, stale, parts...)
	if err != nil {
		return err
	}
	var lines []deviceLine
	all := f.Devices()
	for _, d := range all {
		if q.Picks(d, stale > 0) {
			lines = append(lines, lineOf(d, stale > 0))
		}
	}
	what := count(len(lines), "device")
	if len(lines) < len(all) {
		what = fmt.Sprintf("%d of %s", len(lines), count(len(all), "device"))
	}
	heads := []string{"DEVICE", "STATE", "SINCE", "AGENT", "ARCH", "GROUPS", "TAGS"}
	return list(s, g, lines, heads, func(l deviceLine) []any {
		return []any{l.Device, l.state, l.Since, l.Agent, l.known.Board.Arch, strings.Join(l.known.Groups, ","), tagsInWords(l.known.Tags)}
	}, f.Complete(what))
}

// readAndListen reads these parts, and then listens for as long as it may take, or
// until every device that is online was heard.
func (s *session) readAndListen(ctx context.Context, span time.Duration, parts ...fleet.Part) (*fleet.Fleet, error) {
	if span <= 0 {
		return s.readFleet(ctx, parts...)
	}
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f, err := fleet.Read(ctx, c, parts...)
	if err == nil {
		fmt.Fprintf(s.err, "listening for %v, or until every device was heard\n", span)
		err = f.Listen(ctx, c, span)
	}
	s.notes(f)
	return f, err
}

func lineOf(d *fleet.Device, listened bool) deviceLine {
	l := deviceLine{Device: d.ID, Online: d.Presence.Online, Since: d.Presence.Since, Agent: d.Presence.Agent, known: d.Known}
	l.state = d.State(listened)
	if listened {
		stale := l.state == fleet.Stale
		l.Stale = &stale
	}
	if l.Agent == "" {
		l.Agent = d.Known.Agent
	}
	if json.Valid(d.Facts) {
		l.Facts = d.Facts
	}
	return l
}

func stateInWords(online bool) string {
	if online {
		return fleet.Online
	}
	return fleet.Offline
}

func tagsInWords(tags map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		words = append(words, name+"="+tags[name])
	}
	return strings.Join(words, ",")
}
