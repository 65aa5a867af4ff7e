package dialect_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/agent/dialect/plain"
	"github.com/ratchetd/ratchet/executor"
)

var update = flag.Bool("update", false, "write what the dialect says into testdata")

// TestConversations plays testdata/*.txtar. In a session file a line is either
// said to the dialect or is its answer:
//
//	> TOPIC PAYLOAD        a message arrives; @NAME is the payload in that file
//	topics, will           asks for them
//	status NAME            tells the report in that file
//	tell WHAT JSON         tells anything else
//	= MEANING              the answer to >
//	< TOPIC [retained] PAYLOAD   a message that is sent
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d conversations, want some (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := conversation{t: t, files: map[string]string{}, dialect: spokenIn(file)}
			for _, f := range ar.Files {
				c.files[f.Name] = strings.TrimSpace(string(f.Data))
			}
			got := c.play(string(ar.Files[0].Data))
			if *update {
				ar.Files[0].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want := string(ar.Files[0].Data); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// spokenIn is the dialect of a conversation, by its file's name.
func spokenIn(file string) dialect.Dialect {
	if strings.HasPrefix(filepath.Base(file), "azure") {
		return azure.Dialect{Device: "gw-1"}
	}
	return plain.Dialect{Root: "ratchet/v1", Device: "gw-1", Groups: []string{"routers", "lab"}}
}

type conversation struct {
	t       *testing.T
	dialect dialect.Dialect
	files   map[string]string
	out     strings.Builder
}

func (c *conversation) play(session string) string {
	for line := range strings.Lines(session) {
		if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "<") {
			continue
		}
		c.out.WriteString(line)
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		c.say(verb, rest)
	}
	return c.out.String()
}

func (c *conversation) say(verb, rest string) {
	switch verb {
	case "", "#":
	case ">":
		topic, payload, _ := strings.Cut(rest, " ")
		if name, ok := strings.CutPrefix(payload, "@"); ok {
			payload = c.files[name]
		}
		events := c.dialect.Receive(dialect.Message{Topic: topic, Payload: []byte(payload)})
		for _, e := range events {
			fmt.Fprintf(&c.out, "= %s\n", meaning(e))
		}
		if len(events) == 0 {
			c.out.WriteString("= nothing\n")
		}
	case "topics":
		topics := c.dialect.Topics()
		fmt.Fprintf(&c.out, "= jobs %q\n= own %q\n= read back %q\n", topics.Jobs, topics.Own, topics.ReadBack)
	case "will":
		c.sent(c.dialect.Tell(dialect.Presence{})...)
	case "status":
		c.sent(c.dialect.Status(c.report(rest))...)
	case "tell":
		what, text, _ := strings.Cut(rest, " ")
		c.sent(c.dialect.Tell(c.news(what, []byte(text)))...)
	default:
		c.t.Fatalf("%q is no line of a conversation", verb)
	}
}

func meaning(e dialect.Event) string {
	switch e := e.(type) {
	case dialect.Offer:
		return offerMeaning(e)
	case dialect.Cancel:
		return fmt.Sprintf("cancel %s text=%s signature=%q expires=%s", e.ID, e.Text, e.Signature, showTime(e.Expires))
	}
	text, err := json.Marshal(e)
	return fmt.Sprintf("%T %s%v", e, text, errorText(err))
}

func offerMeaning(o dialect.Offer) string {
	s := fmt.Sprintf("offer %s scope=%s", o.ID, o.Scope)
	if o.Err != nil {
		return s + errorText(o.Err)
	}
	if o.Rollout != nil {
		s += fmt.Sprintf(" percent=%v", o.Rollout.Percent)
	}
	if o.Remote != nil {
		return fmt.Sprintf("%s signature=%q url=%s sha256=%s", s, o.Signature, o.Remote.URL, o.Remote.SHA256)
	}
	_, err := executor.Parse(o.Text)
	return fmt.Sprintf("%s signature=%q text=%s%s", s, o.Signature, o.Text, errorText(err))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return " refused: " + err.Error()
}

func showTime(t executor.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("2006-01-02")
}

func (c *conversation) sent(messages ...dialect.Message) {
	for _, m := range messages {
		topic, payload := m.Topic, strings.ReplaceAll(string(m.Payload), "\n", "\n<   ")
		if m.Retain {
			topic += " retained"
		}
		if payload == "" {
			payload = "(empty)"
		}
		fmt.Fprintf(&c.out, "< %s %s\n", topic, payload)
	}
}

// report reads {"job", "record", "output", "result", "waiting", "progress"}:
// a Record's JSON with the parts that are stored elsewhere.
func (c *conversation) report(name string) dialect.Report {
	var in struct {
		Job      json.RawMessage         `json:"job"`
		Record   executor.Record         `json:"record"`
		Output   map[int]string          `json:"output"`
		Result   map[int]json.RawMessage `json:"result"`
		Waiting  string                  `json:"waiting"`
		Bare     bool                    `json:"bare"`
		Progress float64                 `json:"progress"`
	}
	c.decode([]byte(c.files[name]), &in)
	if in.Job != nil {
		job, err := executor.Parse(in.Job)
		if err != nil {
			c.t.Fatal(err)
		}
		in.Record.Job = job
	}
	for i := range in.Record.Steps {
		in.Record.Steps[i].Output, in.Record.Steps[i].Result = in.Output[i], in.Result[i]
	}
	return dialect.Report{Record: in.Record, Waiting: in.Waiting, Progress: in.Progress, Bare: in.Bare}
}

func (c *conversation) news(what string, text []byte) any {
	switch what {
	case "presence":
		return decoded[dialect.Presence](c, text)
	case "facts":
		return dialect.Facts(text)
	case "health":
		return decoded[dialect.Health](c, text)
	case "alert":
		return decoded[dialect.Alert](c, text)
	case "log":
		line := decoded[dialect.LogLine](c, text)
		line.Job = "wifi"
		return line
	case "data":
		return dialect.Data{Job: "wifi", Seq: 3, Lines: []byte(strings.ReplaceAll(string(text), " ", "\n"))}
	case "forgotten":
		return dialect.Forgotten{ID: string(text)}
	}
	c.t.Fatalf("%q is nothing to tell", what)
	return nil
}

func decoded[T any](c *conversation, text []byte) T {
	var v T
	c.decode(text, &v)
	return v
}

func (c *conversation) decode(text []byte, v any) {
	if err := json.Unmarshal(text, v); err != nil {
		c.t.Fatalf("reading %s: %v", text, err)
	}
}
