package executor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explain says in words what a job would do on a device, step by step, and what
// a power cut in each step would mean. The kinds need not be those of a device.
func Explain(kinds Kinds, j Job) []string {
	out := explainJob(j)
	for i := range j.Total() {
		s := j.StepAt(i)
		title := fmt.Sprintf("Step %d of %d: %s (%s)", i+1, len(j.Steps), s.Name, s.Kind)
		if i >= len(j.Steps) {
			title = fmt.Sprintf("On failure %d of %d: %s (%s)", i+1-len(j.Steps), len(j.OnFailure), s.Name, s.Kind)
		}
		out = append(out, "", title)
		out = append(out, explainStep(kinds, j, i)...)
	}
	for i, text := range Warnings(kinds, j) {
		if i == 0 {
			out = append(out, "")
		}
		out = append(out, "Warning: "+text)
	}
	return out
}

// said collects lines of a label and a sentence.
type said []string

func (s *said) add(label, format string, args ...any) {
	*s = append(*s, fmt.Sprintf("  %-10s %s", label, fmt.Sprintf(format, args...)))
}

func explainJob(j Job) said {
	out := said{strings.TrimSuffix("Job "+j.ID+": "+j.Description, ": ")}
	if j.Target != "" {
		out.add("for", "devices where %s", j.Target)
	}
	if j.Rollout != nil {
		out.add("for", "at most %s", j.Rollout)
	}
	if len(j.Audience) > 0 {
		out.add("for", "%s; any other device rejects it", strings.Join(j.Audience, ", "))
	}
	explainBegin(j, &out)
	if j.Timeout > 0 {
		out.add("limit", "%s of running time; waiting and power cuts do not count", Span(j.Timeout))
	}
	if !j.Expires.IsZero() {
		out.add("expires", "%s; a job that has not begun by then is rejected", j.Expires.Format(time.RFC3339))
	}
	out.add("power cut", "between two steps costs nothing: the next step begins when the device is back")
	out.add("failure", "%s", failureOf(j))
	return out
}

func explainBegin(j Job, out *said) {
	if j.Schedule != "" {
		out.add("begins", "at every firing of %q; each firing is a job of its own", j.Schedule)
	}
	if !j.NotBefore.IsZero() {
		out.add("begins", "not before %s", j.NotBefore.Format(time.RFC3339))
	}
	if j.Spread > 0 {
		out.add("begins", "after a delay of up to %s, different for each device", Span(j.Spread))
	}
	if w := j.Window; w != nil {
		zone := cmp.Or(w.TZ, "the device's time zone")
		out.add("begins", "steps only within %s after %q (%s)", Span(w.Duration), w.Cron, zone)
	}
	if j.Require != "" {
		out.add("begins", "when %s", j.Require)
	}
	if j.Force {
		out.add("begins", "even when an application on the device says \"not now\"")
	}
}

// failureOf says what a failed step means for the job.
func failureOf(j Job) string {
	words := "the first step that fails ends the job"
	if j.UndoOnFailure {
		words += "; the done steps that can be taken back are, newest first"
	}
	if len(j.OnFailure) > 0 {
		words += "; then the on-failure steps run"
	}
	return words
}

func explainStep(kinds Kinds, j Job, i int) said {
	s := j.StepAt(i)
	d := kinds.describe(s)
	var out said
	out.add("does", "%s", d.Does)
	if s.When != "" {
		out.add("only if", "%s; else it is skipped", s.When)
	}
	out.add("tries", "%s", triesOf(s, d))
	out.add("power cut", "%s", cutOf(s, d))
	if words := trialOf(s, d); words != "" {
		out.add("on trial", "%s", words)
	}
	out.add("failure", "%s", endOf(j, i, d))
	return out
}

func triesOf(s Step, d Description) string {
	words, each := "once", ""
	if n := s.Retry.Attempts; n > 1 {
		words, each = fmt.Sprintf("up to %d times", n), " each"
		if s.Retry.Delay > 0 {
			words += fmt.Sprintf(", %s apart", Span(s.Retry.Delay))
		}
	}
	switch {
	case s.Timeout > 0:
		words += fmt.Sprintf(", at most %s%s", Span(s.Timeout), each)
	case d.Limit != "":
		words += ", " + d.Limit
	}
	return words
}

// cutOf says what happens when the power goes while the step runs.
func cutOf(s Step, d Description) string {
	most := cmp.Or(s.MaxInterruptions, 3)
	givenUp := fmt.Sprintf("; given up when it was cut %d times", most)
	if most == 1 {
		givenUp = "; but maxInterruptions is 1, so the first cut ends it"
	}
	switch {
	case d.EndsByCut:
		return d.Cut
	case s.IfInterrupted == Fail:
		return "the step fails: it is never begun twice"
	case s.IfInterrupted == Verify:
		return "the check decides: if it passes the step was done, else it is run again" + givenUp
	}
	return cmp.Or(d.Cut, "it is run again") + givenUp
}

// trialOf says what the change must withstand; nothing where it is on no trial.
func trialOf(s Step, d Description) string {
	c, must := s.Confirm, d.Trial
	switch {
	case c == nil && must == "":
		return ""
	case c == nil:
		c = &Confirm{Within: Duration(ownTrial)}
	}
	words := fmt.Sprintf("within %s %s", Span(c.Within), cmp.Or(must, Reconnected))
	if len(c.Check) > 0 {
		words += " and the check must pass"
	}
	if d.Undo == "" {
		return words + ", else the step fails; this kind cannot be taken back"
	}
	return words + ", else it is taken back; a power cut begins the trial again"
}

// endOf says what a failure of this step means.
func endOf(j Job, i int, d Description) string {
	words := "nothing to take back"
	if d.Undo != "" {
		words = "taken back: " + d.Undo
	}
	s := j.StepAt(i)
	switch {
	case i >= len(j.Steps):
		return words + "; the next one runs all the same"
	case s.ContinueOnFailure:
		return words + "; the job goes on"
	}
	return words + "; the job fails"
}

// Warnings are what the author of a job may not have meant, each behind the
// name of its step.
func Warnings(kinds Kinds, j Job) []string {
	out := j.misplaced()
	warn := func(s Step, text string) { out = append(out, s.Name+": "+text) }
	reboots := func(s Step) bool { return kinds.describe(s).EndsByCut }
	for i, s := range j.Steps {
		d := kinds.describe(s)
		if d.MayCutOff && s.Confirm == nil && slices.ContainsFunc(j.Steps[i+1:], reboots) {
			warn(s, "a reboot follows and it is not on trial: if it cuts the device off nothing takes it back; add confirm")
		}
		for _, text := range d.Warnings {
			warn(s, text)
		}
	}
	for i := range j.Total() {
		s := j.StepAt(i)
		if trial := kinds.trial(s); s.Timeout > 0 && s.Timeout <= trial {
			warn(s, fmt.Sprintf("its timeout of %s ends its trial, which may take %s, too early: make the timeout longer", Span(s.Timeout), Span(trial)))
		}
	}
	return out
}

// trial is how long the step may be on trial; 0 when it never is.
func (k Kinds) trial(s Step) Duration {
	switch {
	case s.Confirm != nil:
		return s.Confirm.Within
	case k.describe(s).Trial != "":
		return Duration(ownTrial)
	}
	return 0
}

// Span is a duration as people write it, without needless zeros.
func Span(d Duration) string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
