package executor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/redact"
)

func TestValuesAreFilledInOnTheDevice(t *testing.T) {
	env := map[string]any{"vars": map[string]any{"lan": "192.168.7.1", "n": 7, "evil": "-oProxyCommand=reboot", "dashes": "--"}, "facts": map[string]any{"tags": map[string]any{}}}
	secret := func(name string) (string, error) {
		if name == "wifi" {
			return "hunter2hunter2", nil
		}
		return "", errors.New("no such secret")
	}
	for _, c := range []struct{ with, want, err string }{
		{`{"argv":["echo",{"jq":".vars.lan"}]}`, `{"argv":["echo","192.168.7.1"]}`, ""},
		{`{"argv":["x"],"env":{"N":{"jq":".vars.n"},"K":{"secret":"wifi"}}}`, `{"argv":["x"],"env":{"K":"hunter2hunter2","N":"7"}}`, ""},
		{`{"files":[{"path":"/a","content":{"jq":"\"ip \\(.vars.lan)\""}}]}`, `{"files":[{"content":"ip 192.168.7.1","path":"/a"}]}`, ""},
		{`{"uci":{"a.b.c":[{"jq":".vars.lan"},"x"],"d":null}}`, `{"uci":{"a.b.c":["192.168.7.1","x"],"d":null}}`, ""},
		{`{"jq":".vars.lan","inputs":["a"]}`, `{"inputs":["a"],"jq":".vars.lan"}`, ""},
		{`{"apply":["ifup",{"jq":".vars.lan"}],"validate":[{"jq":".vars.n"}]}`, `{"apply":["ifup","192.168.7.1"],"validate":["7"]}`, ""},
		{`{"headers":{"Authorization":{"secret":"wifi"},"X":"y"}}`, `{"headers":{"Authorization":"hunter2hunter2","X":"y"}}`, ""},
		{`{"with":{"content":{"deep":{"content":{"jq":".vars.n"}}}}}`, `{"with":{"content":{"deep":{"content":"7"}}}}`, ""},
		{`{"argv":["ping",{"jq":".vars.evil"}]}`, "", `argv: [1]: its value "-oProxyCommand=reboot" begins with -, as an option does`},
		{`{"argv":["ping",{"jq":".vars.dashes"},{"jq":".vars.evil"}]}`, "", `argv: [1]: its value "--" begins with -`},
		{`{"argv":["ping","--",{"jq":".vars.evil"}]}`, `{"argv":["ping","--","-oProxyCommand=reboot"]}`, ""},
		{`{"argv":["tool",{"jq":"\"--lan=\" + .vars.lan"}]}`, `{"argv":["tool","--lan=192.168.7.1"]}`, ""},
		{`{"env":{"K":{"jq":".vars.evil"}}}`, `{"env":{"K":"-oProxyCommand=reboot"}}`, ""},
		{`{"url":{"jq":".vars"}}`, "", "url: jq gives an object"},
		{`{"url":{"jq":".nothing"}}`, "", "url: jq gives null"},
		{`{"env":{"K":{"secret":"other"}}}`, "", "env: K: no such secret"},
	} {
		f := filler{ctx: t.Context(), env: env, secret: secret, places: map[string]Place{
			"content": One, "url": One, "argv": Words, "validate": Words, "apply": Words, "env": Values, "headers": Values, "uci": Values}}
		got, err := f.fill(json.RawMessage(c.with))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got error %v, want %s", c.with, err, c.err)
			}
		} else if string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.with, got, err, c.want)
		}
	}
}

func TestASecretMayNotStandWhereOthersReadIt(t *testing.T) {
	var p struct {
		Argv []Word          `json:"argv"`
		Env  map[string]Text `json:"env"`
	}
	if err := Decode([]byte(`{"argv":["a",{"jq":".vars.x"}],"env":{"K":{"secret":"s"}}}`), &p); err != nil || !p.Argv[1].Open || !p.Env["K"].Open {
		t.Errorf("got %v, %+v", err, p)
	}
	for _, bad := range []string{`{"argv":[{"secret":"s"}]}`, `{"env":{"K":{"secret":"../s"}}}`, `{"env":{"K":{"jq":"range(9)"}}}`, `{"env":{"K":7}}`, `{"env":{"K":{}}}`} {
		if err := Decode([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestSecretsAreHiddenWhereverTheyEndUp(t *testing.T) {
	secrets := []string{"line one\nline two\"quoted\"", "hunter2hunter2"}
	out := &tail{}
	out.Write([]byte(strings.Repeat("x", 2*MaxOutput) + "hunter2hunter2" + strings.Repeat("y", MaxOutput-7)))
	text := out.text(func(s string) string { return redact.New(secrets).Hide(s) })
	if strings.Contains(text, "hunter2") || strings.Contains(text, "unter2") || len(text) > MaxOutput {
		t.Errorf("told %d bytes, beginning with %q", len(text), text[:20])
	}
	for _, leak := range []string{"a hunter2hunter2 b", `{"k":"line one\nline two\"quoted\""}`, "two\"quoted\""} {
		if got := redact.New(secrets).Hide(leak); strings.Contains(got, "hunter2") || strings.Contains(got, "quoted") {
			t.Errorf("%q became %q", leak, got)
		}
	}
}
