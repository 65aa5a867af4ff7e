package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/spf13/cobra"
)

// An exported line is one retained message, or the last line, which says how many
// there are: a file without it is cut.
type exported struct {
	Topic  string `json:"topic,omitempty"` // below the root
	Text   string `json:"payload,omitempty"`
	Binary []byte `json:"base64,omitempty"` // of a payload that is no text
	End    bool   `json:"end,omitempty"`
	Count  int    `json:"count,omitempty"`
	At     string `json:"at,omitempty"`
}

func (s *session) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all that the broker keeps as JSON lines",
		Long: `Export writes every retained message of the fleet, one JSON object a line: offers,
rollouts, and what devices have said. The last line says how many there are, so that
'ratchet import' knows a file that is cut.`,
		Example: `  ratchet export >fleet.jsonl`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.export(cmd.Context()) },
	}
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) export(ctx context.Context) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	all, whole, err := everything(ctx, c)
	if err != nil {
		return err
	}
	n, long := 0, ""
	for _, m := range all {
		if m.TooLong {
			long = "what is too long was left out"
			fmt.Fprintf(s.err, "ratchet: left out: %s: longer than it may be\n", screen.Line(m.Topic.Below("…")))
			continue
		}
		line := exported{Topic: strings.TrimPrefix(m.Topic.Below(""), "/"), Text: string(m.Payload)}
		if !utf8.Valid(m.Payload) {
			line.Text, line.Binary = "", m.Payload
		}
		if err := s.out.JSON(line); err != nil {
			return err
		}
		n++
	}
	if err := s.out.JSON(exported{End: true, Count: n, At: time.Now().UTC().Format(time.RFC3339)}); err != nil {
		return err
	}
	if !whole {
		return fmt.Errorf("%s were written, and each of %d readings brought others: the broker drops what is retained: set max_queued_messages 0 at mosquitto; 'ratchet broker check' measures it", count(n, "message"), readings)
	}
	fmt.Fprintln(s.err, ending(count(n, "message"), long))
	return nil
}

// readings is how often everything is read, at most, until nothing is new.
const readings = 5

// everything reads all that is retained until a reading brings nothing new, and
// reports whether one did not: a broker may drop a part of it each time.
func everything(ctx context.Context, c *link.Client) ([]link.Message, bool, error) {
	known := map[dialect.Topic]link.Message{}
	for n := range readings {
		all, err := retained(ctx, c, c.Root()+"/#")
		if err != nil {
			return nil, false, err
		}
		before := len(known)
		for _, m := range all {
			known[m.Topic] = m
		}
		if n > 0 && len(known) == before {
			return byTopic(slices.Collect(maps.Values(known))), true, nil
		}
	}
	return byTopic(slices.Collect(maps.Values(known))), false, nil
}

func (s *session) importCommand() *cobra.Command {
	var g sureFlags
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Give a broker what export has written",
		Long: `Import publishes what 'ratchet export' wrote (- reads standard input) to a broker,
another one or the same. It reads the whole file first: one that is cut or damaged
changes nothing. Where something else lies already it stops and names it, and
replaces it with --overwrite only. Offers begin to count as soon as they lie there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.importFile(cmd.Context(), args[0], overwrite, g)
		},
	}
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace what lies there")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) importFile(ctx context.Context, file string, overwrite bool, g sureFlags) error {
	in := s.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("reading the export: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	all, err := readExport(in)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	there, err := retained(ctx, c, c.Root()+"/#")
	if err != nil {
		return err
	}
	send, others := missing(all, there)
	for _, m := range others[:min(len(others), maxNamed)] {
		fmt.Fprintf(s.err, "something else lies at %s\n", screen.Line(m.Topic.Below(c.Root())))
	}
	if len(others) > 0 && !overwrite {
		return fmt.Errorf("nothing was changed: other messages lie at %s: --overwrite replaces them", count(len(others), "topic"))
	}
	send = append(send, others...)
	if g.dry || len(send) == 0 {
		fmt.Fprintf(s.out, "%s to publish, %d lie there already\n", count(len(send), "message"), len(all)-len(send))
		return nil
	}
	if err := s.sure(g, fmt.Sprintf("Publish %s", count(len(send), "message"))); err != nil {
		return err
	}
	for _, m := range send {
		if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
			return err
		}
	}
	lies, err := lying(ctx, c, send)
	if err != nil {
		return err
	}
	if absent, others := missing(send, lies); len(absent)+len(others) > 0 {
		return fmt.Errorf("%d of %s did not arrive: this user may not write there, or the broker does not keep them: 'ratchet broker check' measures it", len(absent)+len(others), count(len(send), "message"))
	}
	fmt.Fprintf(s.out, "%s published, %d lay there already\n", count(len(send), "message"), len(all)-len(send))
	return nil
}

// missing are those of the messages that are not there, and those where something
// else is.
func missing(all, there []link.Message) (absent, others []link.Message) {
	at := map[dialect.Topic]link.Message{}
	for _, m := range there {
		at[m.Topic] = m
	}
	for _, m := range all {
		switch was, known := at[m.Topic]; {
		case !known:
			absent = append(absent, m)
		case !bytes.Equal(was.Payload, m.Payload):
			others = append(others, m)
		}
	}
	return absent, others
}

// readExport reads a whole export, to its last line.
func readExport(in io.Reader) ([]link.Message, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 2*dialect.MaxPayload)
	var all []link.Message
	for n := 1; lines.Scan(); n++ {
		var line exported
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("line %d is no line of an export (%w): the file is cut or damaged", n, err)
		}
		if line.End {
			if line.Count != len(all) {
				return nil, fmt.Errorf("it has %d messages, and its last line says %d: the file is damaged", len(all), line.Count)
			}
			return all, nil
		}
		t, ok := dialect.ParseTopic("", "/"+line.Topic)
		if !ok {
			return nil, fmt.Errorf("line %d: %q is no topic of ours", n, line.Topic)
		}
		m := link.Message{Topic: t, Payload: []byte(line.Text)}
		if line.Binary != nil {
			m.Payload = line.Binary
		}
		all = append(all, m)
	}
	return nil, errors.Join(lines.Err(), fmt.Errorf("the file is cut: after %d messages its last line, which says how many there are, is missing", len(all)))
}
