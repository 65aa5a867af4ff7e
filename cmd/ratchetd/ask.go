package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/local"
)

// startPatience is how long what is to change something waits for a daemon that may
// just be starting.
const startPatience = 5 * time.Second

// ask puts one request to the daemon that runs.
func (c *command) ask(ctx context.Context, r local.Request, each func(json.RawMessage) error) error {
	config, err := config.Load(c.config)
	if config == nil {
		return err
	}
	patience := time.Duration(0)
	if r.Do == "submit" || r.Do == "cancel" {
		patience = startPatience
	}
	for end := time.Now().Add(patience); ; {
		err := local.Call(ctx, local.Path(config.State), r, each)
		if !errors.Is(err, local.ErrSilent) || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		time.Sleep(startPatience / 50)
	}
}

func (c *command) status(ctx context.Context, args []string) error {
	f := c.flags("status")
	asJSON := f.Bool("json", false, "as one JSON object")
	watch := f.Bool("watch", false, "again every two seconds")
	if _, err := c.parse(f, args, 0, 0); err != nil {
		return err
	}
	for {
		err := c.ask(ctx, local.Request{Do: "status"}, func(v json.RawMessage) error {
			if *asJSON {
				return c.line(v)
			}
			if *watch {
				fmt.Fprint(c.raw, "\x1b[H\x1b[2J") // home, and all of the screen empty
			}
			return showStatus(c.out, v)
		})
		if err != nil || !*watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

func (c *command) jobs(ctx context.Context, args []string) error {
	f := c.flags("jobs")
	asJSON := f.Bool("json", false, "as JSON: an array, or one job's object")
	args, err := c.parse(f, args, 0, 1)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return c.ask(ctx, local.Request{Do: "job", ID: args[0]}, func(v json.RawMessage) error {
			if *asJSON {
				return c.line(v)
			}
			return showJob(c.out, v)
		})
	}
	list := []json.RawMessage{}
	err = c.ask(ctx, local.Request{Do: "jobs"}, func(v json.RawMessage) error {
		list = append(list, v)
		return nil
	})
	if err != nil {
		return err
	}
	if !*asJSON {
		return showJobs(c.out, list)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return c.line(text)
}

func (c *command) submit(ctx context.Context, args []string) error {
	f := c.flags("submit")
	watch := f.Bool("watch", false, "follow it to its end")
	args, err := c.parse(f, args, 1, 1)
	if err != nil {
		return err
	}
	text, err := c.read(args[0])
	if err != nil {
		return err
	}
	id := ""
	err = c.ask(ctx, local.Request{Do: "submit", Text: string(text)}, func(v json.RawMessage) error {
		var s local.Submitted
		err := json.Unmarshal(v, &s)
		if id = s.Job; err == nil && s.Known {
			_, err = fmt.Fprintf(c.out, "%s is known here already, and does not begin again: %s\n", id, progressWords(s.JobStatus))
		} else if err == nil {
			_, err = fmt.Fprintln(c.out, "accepted", id)
		}
		return err
	})
	if err != nil || !*watch {
		return err
	}
	var last json.RawMessage
	err = c.ask(ctx, local.Request{Do: "watch", ID: id}, func(v json.RawMessage) error {
		last = v
		return showProgress(c.out, v)
	})
	if err == nil && !jobSucceeded(last) {
		err = errJobFailed
	}
	return err
}

func (c *command) cancel(ctx context.Context, args []string) error {
	args, err := c.parse(c.flags("cancel"), args, 1, 2)
	if err != nil {
		return err
	}
	r := local.Request{Do: "cancel", ID: args[0]}
	if len(args) == 2 {
		text, err := c.read(args[1])
		if err != nil {
			return err
		}
		r.Text = string(bytes.TrimSpace(text))
	}
	return c.ask(ctx, r, func(v json.RawMessage) error {
		var done local.Cancelled
		if err := json.Unmarshal(v, &done); err != nil || done.Known {
			return err
		}
		_, err := fmt.Fprintf(c.out, "no job %s is known here: if it comes, it will not begin\n", done.ID)
		return err
	})
}

func (c *command) explain(ctx context.Context, args []string) error {
	args, err := c.parse(c.flags("explain"), args, 1, 1)
	if err != nil {
		return err
	}
	text, err := c.read(args[0])
	if err != nil {
		return err
	}
	lines, err := agent.ExplainHere(ctx, bytes.TrimSpace(text), c.config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, strings.Join(lines, "\n"))
	return err
}

// read reads a document, from stdin where it is called -.
func (c *command) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(file)
}

func (c *command) line(v json.RawMessage) error {
	_, err := fmt.Fprintf(c.out, "%s\n", v)
	return err
}
