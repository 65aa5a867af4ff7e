package fleet

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A Failure is why a job did not succeed, on all devices where that was the same.
type Failure struct {
	Handle   string         `json:"failure"`            // F1 is the one of most devices
	State    executor.State `json:"state"`              // failed, rejected or cancelled
	Step     string         `json:"step"`               // empty where no step is to blame
	Kind     string         `json:"kind"`               // of the step; empty where no offer says it any more
	Text     string         `json:"text"`               // the reason; … stands for what differs from device to device
	Hopeless string         `json:"hopeless,omitempty"` // why it cannot succeed by trying again; empty where it can
	Devices  []string       `json:"devices"`            // by id
	Effects  map[Effect]int `json:"effects"`            // devices by what became of what was changed
	Output   string         `json:"output,omitempty"`   // the tail of one of them
}

// Why is the reason, and why another try cannot help where it cannot.
func (f Failure) Why() string {
	if f.Hopeless == "" {
		return f.Text
	}
	return strings.TrimPrefix(f.Text+": "+f.Hopeless, ": ")
}

// Failures groups the devices on which the job ended in another way than well, by
// state, step, kind and reason. Those of most devices come first.
func (j *Job) Failures(rows []Row) []Failure {
	kinds := j.kinds()
	byWhat := map[string]*Failure{}
	for _, r := range rows {
		if !r.Bad() {
			continue
		}
		step, text := blame(r)
		if j.texts[text] == "" {
			j.texts[text] = normal(text)
		}
		text = strings.ReplaceAll(j.texts[text], r.Device, "…")
		f := Failure{State: r.Status.State, Step: step.Name, Kind: kinds[step.Name], Text: text}
		what := strings.Join([]string{string(f.State), f.Step, f.Text}, "\x00")
		if byWhat[what] == nil {
			f.Hopeless, f.Effects = hopeless(r), map[Effect]int{}
			byWhat[what] = &f
		}
		byWhat[what].add(r, step, kinds)
	}
	return handled(byWhat)
}

func (f *Failure) add(r Row, step dialect.StepStatus, kinds map[string]string) {
	f.Devices = append(f.Devices, r.Device)
	f.Effects[effect(r.Status, kinds)]++
	f.Output = cmp.Or(f.Output, step.Output)
}

func handled(byWhat map[string]*Failure) []Failure {
	var all []Failure
	for _, f := range byWhat {
		slices.Sort(f.Devices)
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(len(b.Devices), len(a.Devices)), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Text, b.Text), cmp.Compare(a.State, b.State))
	})
	for i := range all {
		all[i].Handle = fmt.Sprintf("F%d", i+1)
	}
	return all
}

// kinds are the kinds of the job's steps by name, as far as an offer says them.
func (j *Job) kinds() map[string]string {
	kinds := map[string]string{}
	for _, o := range j.Offers(j.ID) {
		for i := range o.Job.Total() {
			kinds[o.Job.StepAt(i).Name] = o.Job.StepAt(i).Kind
		}
	}
	return kinds
}

// blame is the step that failed, if one did, and the reason without its name.
func blame(r Row) (dialect.StepStatus, string) {
	reason := cmp.Or(r.Status.Reason, otherDocument(r))
	for _, s := range r.Status.Steps {
		if rest, named := strings.CutPrefix(strings.TrimPrefix(reason, "undo failed: "), "step "+s.Name+": "); named {
			return s, rest
		}
	}
	for _, s := range r.Status.Steps {
		if s.State == executor.Failed && s.Phase == executor.Forward {
			return s, cmp.Or(reason, s.Reason)
		}
	}
	return dialect.StepStatus{}, reason
}

// OutputOf is the tail of what the step that failed had printed.
func OutputOf(r Row) string {
	step, _ := blame(r)
	return step.Output
}

func otherDocument(r Row) string {
	if r.Other {
		return "another document has the id there"
	}
	return ""
}

// differing is what tells the reasons of two devices apart although they are the
// same: times, addresses, ids and numbers. What a number means is kept where it is
// a code.
var differing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b(exit code|exit status|signal|status|HTTP) (\d{1,3})\b`), "$1 \x01$2\x02"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "…"},
	{regexp.MustCompile(`\b[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}\b`), "…"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b`), "…"},
	{regexp.MustCompile(`\[?\b[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{0,4}){2,7}\b\]?(:\d+)?`), "…"},
	{regexp.MustCompile(`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`), "…"},
	{regexp.MustCompile(`\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{12,}\b|\b[0-9A-F]{12,}\b`), "…"},
	{regexp.MustCompile(`(\b|-)(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+\b`), "…"},
	{regexp.MustCompile(`\x01(\d)(\d?)(\d?)\x02`), "\x01$1\x03$2\x03$3\x02"},
	{regexp.MustCompile(`(^|[^\x01\x03\d])\d+(\.\d+)*`), "$1…"},
	{regexp.MustCompile(`[\x01\x02\x03]`), ""},
}

// normal is a reason with … for what differs from device to device.
func normal(reason string) string {
	for _, d := range differing {
		reason = d.what.ReplaceAllString(reason, d.by)
	}
	return reason
}

// passing are rejections that another try may not meet: the offer was late, or
// the device had no room for it. refusals are failures that it will meet again.
var (
	passing  = regexp.MustCompile(`^expires: |no room|journal|busy|created: `)
	refusals = regexp.MustCompile(`policy\.|^(step \S+: )?board: |does not take the image|not for this board|another document`)
)

// hopeless says why the job cannot succeed on the device by being tried again, or
// nothing.
func hopeless(r Row) string {
	reason := cmp.Or(r.Status.Reason, otherDocument(r))
	switch {
	case r.Other:
		return "the device knows another document under this id"
	case r.Status.State == executor.Rejected && !passing.MatchString(reason):
		return "the device refuses the job as it is"
	case r.Status.State == executor.Failed && refusals.MatchString(reason):
		return "this device cannot or may not do it"
	}
	return ""
}
