package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) jobsCommand() *cobra.Command {
	var device string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs and how they stand",
		Long: `Jobs lists every job that is offered or that a device still tells of, with the
number of devices in each state. With --device it lists one device's jobs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device != "" && !executor.ValidDevice(device) {
				return usageError{fmt.Errorf("--device %q: want 1 to 64 of A-Z a-z 0-9 _ . -", device)}
			}
			c, err := s.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if device != "" {
				return s.deviceJobs(cmd.Context(), c, device, asJSON)
			}
			return s.allJobs(cmd.Context(), c, asJSON)
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "only this `device`, one line a job")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	s.link.Flags(cmd.Flags())
	return cmd
}

// A jobLine is one job over the whole fleet.
type jobLine struct {
	Job       string         `json:"job"`
	To        []string       `json:"to"`        // where it is offered
	Cancelled []string       `json:"cancelled"` // where it is cancelled
	States    map[string]int `json:"states"`    // devices by state
	Created   executor.Time  `json:"created,omitzero"`
	counts    stateCounts
}

func (s *session) allJobs(ctx context.Context, c *link.Client, asJSON bool) error {
	r := newRoster()
	filters := append(dialect.OfferFilters(c.Root(), "+"), dialect.Topic{Device: "+", Part: "jobs", Name: "+"}.Below(c.Root()))
	if err := c.Settle(ctx, func(m link.Message) { r.take(m) }, filters...); err != nil {
		return err
	}
	lines := r.jobLines()
	if asJSON {
		return printJSON(s.out, lines)
	}
	t := newTable(s.out, "JOB", "TO", "DEVICES", "CREATED")
	for _, l := range lines {
		t.row(l.Job, l.toInWords(), l.counts.String(), when(l.Created))
	}
	return t.Flush()
}

func (r *roster) jobLines() []*jobLine {
	byID := map[string]*jobLine{}
	line := func(id string) *jobLine {
		if byID[id] == nil {
			byID[id] = &jobLine{Job: id, To: []string{}, Cancelled: []string{}, States: map[string]int{}, counts: stateCounts{}}
		}
		return byID[id]
	}
	for id, offers := range r.offers {
		for _, to := range slices.Sorted(maps.Keys(offers)) {
			line(id).addOffer(to, offers[to])
		}
	}
	for _, d := range r.devices {
		for id, status := range d.jobs {
			line(id).counts.add(status.State)
			line(id).States[string(status.State)]++
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *jobLine) int {
		if order := a.Created.Compare(b.Created.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Job, b.Job)
	})
}

func (l *jobLine) addOffer(to string, o offer) {
	if o.cancel {
		l.Cancelled = append(l.Cancelled, to)
		return
	}
	l.To, l.Created = append(l.To, to), o.job.Created
}

func (l *jobLine) toInWords() string {
	words := slices.Clone(l.To)
	for _, to := range l.Cancelled {
		words = append(words, to+" (cancelled)")
	}
	return strings.Join(words, ", ")
}

func (s *session) deviceJobs(ctx context.Context, c *link.Client, device string, asJSON bool) error {
	r := newRoster()
	filter := dialect.Topic{Device: device, Part: "jobs", Name: "+"}.Below(c.Root())
	if err := c.Settle(ctx, func(m link.Message) { r.take(m) }, filter); err != nil {
		return err
	}
	list := slices.SortedFunc(maps.Values(r.device(device).jobs), func(a, b dialect.JobStatus) int {
		if order := a.AcceptedAt.Compare(b.AcceptedAt.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Job, b.Job)
	})
	if asJSON {
		return printJSON(s.out, list)
	}
	t := newTable(s.out, "JOB", "STATE", "ACCEPTED", "ENDED")
	for _, j := range list {
		t.row(j.Job, headline(j), when(j.AcceptedAt), when(j.EndedAt))
	}
	return t.Flush()
}

// when is a time for people; an unknown one is a dash.
func when(t executor.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// printJSON prints a list as one array, also when it is empty.
func printJSON[T any](out io.Writer, list []T) error {
	if list == nil {
		list = []T{}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

// A table lines up columns.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer, heads ...string) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(heads...)
	return t
}

func (t table) row(cells ...string) {
	for i, c := range cells {
		if cells[i] = printable(c); cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}
