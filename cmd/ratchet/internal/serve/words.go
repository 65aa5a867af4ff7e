package serve

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/executor"
)

// fewNames is how many of a group's devices are named.
const fewNames = 5

// parse reads the templates. What devices say they escape.
func parse(a assets) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"asset":  func(name string) string { return a.paths[name] },
		"when":   when,
		"few":    func(all []string) []string { return all[:min(len(all), fewNames)] },
		"less":   func(n, by int) int { return n - by },
		"json":   func(raw json.RawMessage) string { return string(raw) },
		"newest": newest,
		"facts":  factLines,
		"jobbar": func(j JobReport) bar { return jobBar(j.States, j.Silent) },
	}).ParseFS(templates, "templates/*.html")
}

// when is a time, which the page's script makes the reader's own.
func when(t any) template.HTML {
	at, _ := t.(time.Time)
	if own, ok := t.(executor.Time); ok {
		at = own.Time
	}
	if at.IsZero() {
		return "–"
	}
	at = at.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s UTC</time>`, at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05")))
}

func newest(jobs []dialect.JobStatus) []dialect.JobStatus {
	jobs = slices.Clone(jobs)
	slices.Reverse(jobs)
	return jobs[:min(len(jobs), defaultLimit)]
}

type factLine struct{ Name, Value string }

func factLines(raw json.RawMessage) (lines []factLine) {
	facts := map[string]json.RawMessage{}
	_ = json.Unmarshal(raw, &facts) // what is no object has no members
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		text := string(facts[name])
		var plain string
		if json.Unmarshal(facts[name], &plain) == nil {
			text = plain
		}
		lines = append(lines, factLine{name, text})
	}
	return lines
}

// A bar shows shares beside each other; its text says the same.
type bar struct {
	Parts []part
	Text  string
}

type part struct {
	Class       string
	Count       int
	From, Width float64 // of 100
}

// barOrder is how states stand in a bar.
var barOrder = []string{"succeeded", "running", "undoing", "waiting", "queued", "failed", "rejected", "cancelled", "silent"}

func makeBar(counts map[string]int) (b bar) {
	total, from := 0, 0.0
	for _, n := range counts {
		total += n
	}
	for _, class := range barOrder {
		n := counts[class]
		if n == 0 {
			continue
		}
		p := part{class, n, from, 100 * float64(n) / float64(total)}
		from += p.Width
		b.Parts = append(b.Parts, p)
		if b.Text != "" {
			b.Text += ", "
		}
		b.Text += fmt.Sprintf("%d %s", n, class)
	}
	b.Text = cmp.Or(b.Text, "nobody yet")
	return b
}

func jobBar(states fleet.Counts, silent int) bar {
	counts := map[string]int{"silent": silent}
	for state, n := range states {
		counts[string(state)] += n
	}
	return makeBar(counts)
}
