package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/spf13/cobra"
)

func (s rolloutCommands) statusCommand() *cobra.Command {
	var ids bool
	var g listFlags
	cmd := &cobra.Command{
		Use:   "status [JOB]",
		Short: "Show the rollouts, or one with its waves and its history",
		Long: `Status lists the rollouts, or shows one: its waves, its history, and the devices
that need an eye. With --csv it lists the devices of one, each with its wave.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.readyToRoll(); err != nil {
				return err
			}
			if len(args) == 0 {
				return s.rollouts(cmd.Context(), g)
			}
			return s.status(cmd.Context(), args[0], ids, g)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&ids, "ids", false, "list the devices, with their waves")
	f.BoolVar(&g.json, "json", false, "print JSON")
	f.BoolVar(&g.csv, "csv", false, "print comma-separated values, the first line their names")
	s.link.Flags(f)
	return cmd
}

// rollouts lists what the documents say.
func (s rolloutCommands) rollouts(ctx context.Context, g listFlags) error {
	f, err := s.readFleet(ctx, fleet.Rollouts("+"))
	if err != nil {
		return err
	}
	var docs []rollout.Document
	bad := 0
	for _, job := range slices.Sorted(maps.Keys(f.Rollouts())) {
		d, err := rollout.Parse(job, f.Rollouts()[job])
		if err != nil {
			fmt.Fprintf(s.err, "ratchet: %v\n", err)
			bad++
			continue
		}
		docs = append(docs, d)
	}
	why := f.Incomplete()
	if bad > 0 {
		why = fmt.Sprintf("%d cannot be read", bad)
	}
	heads := []string{"JOB", "STATE", "WAVE", "LAST", "WHEN", "CARRIED BY"}
	return list(s.session, g, docs, heads, func(d rollout.Document) []any {
		last, carrier := d.History[len(d.History)-1], ""
		if d.Carrier != nil {
			carrier = d.Carrier.ID
		}
		return []any{d.Job, d.State, waveInWords(d), eventInWords(last), last.At, carrier}
	}, ending(count(len(docs), "rollout"), why))
}

// ending is the last line of a list: how many there are, and whether that is all.
func ending(n, missing string) string {
	if missing != "" {
		return n + ", incomplete: " + missing
	}
	return n + ", complete"
}

func waveInWords(d rollout.Document) string {
	return fmt.Sprintf("%d of %d (%s)", d.Wave+1, len(d.Waves), d.Waves[d.Wave])
}

// A waveLine is one wave and how its devices stand.
type waveLine struct {
	Wave    string         `json:"wave"`
	Open    bool           `json:"open"`
	Devices int            `json:"devices"`
	Away    int            `json:"away"` // that are offline now
	Counts  rollout.Counts `json:"counts"`
}

// A rolloutReport is what is known of one rollout.
type rolloutReport struct {
	Rollout  rollout.Document `json:"rollout"`
	Waves    []waveLine       `json:"waves"`
	Devices  []rollout.Row    `json:"devices"`
	Missing  string           `json:"incomplete,omitempty"`
	Trouble  string           `json:"trouble,omitempty"`
	Complete bool             `json:"complete"`
}

// planned reports whether the rollout was not started yet.
func (r rolloutReport) planned() bool { return r.Rollout.Rev == 0 }

func rolloutView(v *rollout.View, d rollout.Document) rolloutReport {
	now := time.Now()
	r := rolloutReport{Rollout: d, Devices: v.Rows(d, now), Missing: v.Fleet.Incomplete(), Trouble: v.See(d, now).Trouble}
	r.Complete = r.Missing == ""
	for i := range r.Devices {
		if r.planned() {
			r.Devices[i].Standing = ""
		}
	}
	for i, w := range d.Waves {
		line := waveLine{Wave: w.String(), Open: i <= d.Wave && !r.planned()}
		for _, row := range r.Devices {
			if row.Wave != line.Wave {
				continue
			}
			line.Devices++
			line.Counts.Add(row.Standing)
			if !row.Online {
				line.Away++
			}
		}
		r.Waves = append(r.Waves, line)
	}
	return r
}

func (s rolloutCommands) status(ctx context.Context, job string, ids bool, g listFlags) error {
	c, r, err := s.openRollout(ctx, job)
	if err != nil {
		return err
	}
	defer c.Close()
	d, err := r.Document()
	if err != nil {
		return err
	}
	report := rolloutView(r.View, d)
	if g.csv {
		return list(s.session, g, report.Devices, []string{"DEVICE", "WAVE", "STATE", "JOB", "WHY"}, func(row rollout.Row) []any {
			return []any{row.Device, row.Wave, stateInWords(row.Online), row.Standing, row.Why}
		}, ending(count(len(report.Devices), "device"), report.Missing))
	}
	if !g.json {
		s.showRollout(report)
	}
	return s.showWaves(report, ids, g.json)
}

// showRollout is the head of a report, and its history.
func (s rolloutCommands) showRollout(r rolloutReport) {
	d := r.Rollout
	fmt.Fprintf(s.out, "%s  %s, wave %s, to %s\n", d.Job, d.State, waveInWords(d), strings.Join(d.To, ", "))
	g := d.Gates
	fmt.Fprintf(s.out, "soak %v, abort above %g %%, %g %% must answer within %v", time.Duration(d.Soak), g.AbortAbove, g.MinAnswers, time.Duration(g.Within))
	if len(g.PauseOn) > 0 {
		fmt.Fprintf(s.out, ", pause on %s", strings.Join(g.PauseOn, ", "))
	}
	switch {
	case d.State != rollout.Running:
	case d.Carrier == nil:
		fmt.Fprint(s.out, "\nnobody carries it: ratchet rollout run")
	case time.Now().After(d.Carrier.Until.Time):
		fmt.Fprintf(s.out, "\n%s was to carry it until %s: ratchet rollout run", d.Carrier.ID, show.Time(d.Carrier.Until))
	default:
		fmt.Fprintf(s.out, "\ncarried by %s", d.Carrier.ID)
	}
	if r.Trouble != "" {
		fmt.Fprintf(s.out, "\n%s", r.Trouble)
	}
	fmt.Fprint(s.out, "\n\n")
	for _, e := range d.History {
		fmt.Fprintf(s.out, "%s  %s  %s\n", show.Time(e.At), e.By, eventInWords(e))
	}
	fmt.Fprintln(s.out)
}

// maxListed is how many devices that need an eye a report lists without --ids.
const maxListed = 20

// showWaves lists the waves, the devices that need an eye, or all of them.
func (s rolloutCommands) showWaves(r rolloutReport, ids, asJSON bool) error {
	if asJSON {
		if r.Devices == nil {
			r.Devices = []rollout.Row{}
		}
		return s.out.JSON(r)
	}
	heads := []string{"WAVE", "DEVICES", "OFFLINE"}
	if !r.planned() {
		heads = append(heads, "SUCCEEDED", "FAILED", "NOT DONE")
	}
	t := show.NewTable(s.out, heads...)
	for _, w := range r.Waves {
		t.Row(w.cells()[:len(heads)]...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := s.showRows(r, ids); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, ending(count(len(r.Devices), "device"), r.Missing))
	return err
}

func (w waveLine) cells() []string {
	c := w.Counts
	cells := []string{w.Wave, strconv.Itoa(w.Devices), strconv.Itoa(w.Away), "", "", ""}
	if w.Open {
		cells[3], cells[4], cells[5] = strconv.Itoa(c.Succeeded-c.Unwell), strconv.Itoa(c.Failed+c.Rejected+c.Cancelled+c.Unwell), strconv.Itoa(c.Working+c.Away)
	}
	return cells
}

func (s rolloutCommands) showRows(r rolloutReport, ids bool) error {
	list := r.Devices
	if !ids {
		list = slices.DeleteFunc(slices.Clone(list), func(row rollout.Row) bool {
			return row.Standing != rollout.Failed && row.Standing != rollout.Rejected && row.Standing != rollout.Unwell
		})
	}
	if len(list) == 0 {
		return nil
	}
	more := 0
	if !ids && len(list) > maxListed {
		list, more = list[:maxListed], len(list)-maxListed
	}
	fmt.Fprintln(s.out)
	heads := []string{"DEVICE", "WAVE", "STATE"}
	if !r.planned() {
		heads = append(heads, "JOB", "WHY")
	}
	t := show.NewTable(s.out, heads...)
	for _, row := range list {
		t.Row([]string{row.Device, row.Wave, stateInWords(row.Online), string(row.Standing), row.Why}[:len(heads)]...)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(s.out, "and %d more: --ids lists all\n", more)
	}
	fmt.Fprintln(s.out)
	return nil
}
