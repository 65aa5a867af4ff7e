package jobfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// Whatever kind an agent can run, validate knows its parameters: none takes a
// field that no kind has.
func TestValidateJudgesEveryKind(t *testing.T) {
	for kind := range agent.Kinds() {
		text := `{"id":"x","steps":[{"name":"a","` + kind + `":{"noSuchField":1}}]}`
		found := findProblems([]byte(text))
		if len(found) == 0 || !strings.Contains(found[0].Error(), "noSuchField: unknown field") {
			t.Errorf("%s: got %v, want that it has no such field", kind, found)
		}
	}
}

// One run names every mistake, also those of one step, by the device's own words;
// and a field that is misspelt with the one that is meant.
func TestEveryMistakeOfAStepIsNamed(t *testing.T) {
	const text = `{"id":"a","tmeout":"1h","schedule":"garbage","window":{"cron":"x","duration":"1h"},"rollout":5,
"steps":[{"name":"one","comand":{"argv":["true"]},"timeout":5,"check":{"tcp":"host"}},
{"name":"two","download":{"url":"x","sha256":"0","to":"y","mdoe":1},"retry":{"attempts":"a"},"confirm":{"within":"1m","check":{"smell":true}}},
{"name":"three","diagnostic":{"checks":[{"tcp":"host"},{"pign":"h"},{"disk":"/","below":"x"}]}}]}`
	var got []string
	for _, err := range findProblems([]byte(text)) {
		got = append(got, err.Error())
	}
	slices.Sort(got)
	want := []string{
		`rollout: want an object, got number`,
		`schedule: "garbage": want five fields such as "0 3 * * *"`,
		`steps[0].check: tcp: "host": want "host:port"`,
		`steps[0].comand: no such kind or field; did you mean "command"?`,
		`steps[0]: timeout: 5 is no duration`,
		`steps[1].confirm.check: smell: no such check or field`,
		`steps[1].download: mdoe: unknown field; did you mean "mode"?`,
		`steps[1].download: sha256: `,
		`steps[1].download: to: `,
		`steps[1].download: url: `,
		`steps[1]: retry.attempts: want a whole number, got string`,
		`steps[2].diagnostic: checks[0]: tcp: "host": want "host:port"`,
		`steps[2].diagnostic: checks[1]: pign: no such check or field; did you mean "ping"?`,
		`steps[2].diagnostic: checks[2]: below: want a number, got string`,
		`tmeout: unknown field; did you mean "timeout"?`,
		`window.cron: "x": want five fields`,
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestValidateReadsSettings(t *testing.T) {
	for content, want := range map[string]string{
		`[link]\nspread = \"10s\"`: "",
		`[link]\nbrokr = \"x\"`:    "net.toml:2: link.brokr: unknown key",
		`[policy]\nallow = []`:     "policy: it may stand in ratchet.toml only",
	} {
		job, err := executor.Parse([]byte(`{"id":"x","steps":[{"name":"a","settings":{"name":"net","content":"` + content + `"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		err = agent.Check(job)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
}

// What a device's owner trusts only the device knows: validate takes the step
// with a signature and without one, and refuses only what is none.
func TestValidateTakesSignedFirmwareAndUpdates(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for _, kind := range []string{"firmware", "update"} {
		for more, want := range map[string]string{
			``:                                       "",
			`,"signature":"https://x/image.minisig"`: "",
			`,"signature":"untrusted comment: x\nRUQ\nx\ny"`: "",
			`,"signature":"yes"`:                             "want the text of a minisign signature",
		} {
			text := `{"id":"x","steps":[{"name":"a","` + kind + `":{"url":"https://x/i","sha256":"` + sum + `","version":"2.0"` + more + `}}]}`
			found := findProblems([]byte(text))
			if want == "" && len(found) > 0 || want != "" && (len(found) != 1 || !strings.Contains(found[0].Error(), want)) {
				t.Errorf("%s%s: got %v, want %q", kind, more, found, want)
			}
		}
	}
}

// A name in the file cannot make a line of its own, such as that the file is good.
func TestEachProblemIsOneLine(t *testing.T) {
	for _, text := range []string{
		`{"id":"x","steps":[{"name":"a","command":{"argv":["true"]}}],"a\n-: good\nb":1}`,
		"id: x\nsteps: [{name: a, command: {argv: [\"true\"]}}]\n\"a\\n-: good\\nb\": 1\n",
		"id: x\n\"a\\n-: good\": 1\n\"a\\n-: good\": 2\n",
	} {
		f, err := Read("-", strings.NewReader(text))
		found := f.Problems()
		if err != nil {
			found = []string{err.Error()}
		}
		if len(found) == 0 {
			t.Errorf("%q has no problem", text)
		}
		for _, p := range found {
			if strings.Contains(p, "\n") {
				t.Errorf("%q has the problem %q, want one line", text, p)
			}
		}
	}
}
