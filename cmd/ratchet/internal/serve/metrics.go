package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/executor"
)

// metricJobs is how many jobs that are done have metrics, the newest.
const metricJobs = 20

const (
	openMetrics = "application/openmetrics-text"
	plainText   = "text/plain; version=0.0.4; charset=utf-8"
)

// An exposition is metrics as text, in OpenMetrics or, for whoever does not know
// that, in Prometheus's own older form. Each family is written once, whole.
type exposition struct {
	w     io.Writer
	older bool
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (e exposition) family(name, kind, help string) {
	if e.older { // its families are called as their samples are
		switch kind {
		case "info":
			name, kind = name+"_info", "gauge"
		case "stateset":
			kind = "gauge"
		case "counter":
			name += "_total"
		}
	}
	fmt.Fprintf(e.w, "# TYPE %s %s\n# HELP %s %s\n", name, kind, name, help)
}

// sample writes a value; labels are names and values by turns.
func (e exposition) sample(name string, value float64, labels ...string) {
	fmt.Fprint(e.w, name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(e.w, "%s%s=\"%s\"", map[bool]string{true: "{", false: ","}[i == 0], labels[i], escaped.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")))
	}
	if len(labels) > 0 {
		fmt.Fprint(e.w, "}")
	}
	fmt.Fprintf(e.w, " %g\n", value)
}

// counts writes a gauge with one label, a line for each of its values.
func (e exposition) counts(name, help, label string, counts map[string]int) {
	e.family(name, "gauge", help)
	for _, value := range slices.Sorted(maps.Keys(counts)) {
		e.sample(name, float64(counts[value]), label, value)
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// metrics says how the fleet is. What is not known any more is
// left out, so that nobody takes the last value for the present one.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	out := bufio.NewWriter(w)
	defer out.Flush() // who is gone needs no answer
	e := exposition{out, !strings.Contains(r.Header.Get("Accept"), openMetrics)}
	w.Header().Set("Content-Type", map[bool]string{true: plainText, false: openMetrics + "; version=1.0.0; charset=utf-8"}[e.older])
	w.Header().Set("Vary", "Accept")
	now := s.Watcher.Status()
	e.family("ratchet_build", "info", "Which ratchet this is.")
	e.sample("ratchet_build_info", 1, "version", build.Version())
	e.family("ratchet_broker_connected", "gauge", "Whether the broker is connected; where it is not, all else is left out.")
	e.sample("ratchet_broker_connected", yes(now.Connected))
	e.family("ratchet_database_writable", "gauge", "Whether what comes can be kept.")
	e.sample("ratchet_database_writable", yes(now.Database == ""))
	e.family("ratchet_messages", "counter", "Messages that were kept since the start.")
	e.sample("ratchet_messages_total", float64(now.Messages))
	if now.Connected {
		e.family("ratchet_view_complete", "gauge", "Whether all that the broker retains is there, as far as can be seen.")
		e.sample("ratchet_view_complete", yes(now.Complete == ""))
		s.Watcher.View(func(f *fleet.Fleet) { s.fleetMetrics(e, f) })
		if s.DeviceMetrics != nil {
			s.deviceMetrics(r, e)
		}
	}
	if !e.older {
		fmt.Fprint(out, "# EOF\n")
	}
}

func (s *Server) fleetMetrics(e exposition, f *fleet.Fleet) {
	now := time.Now()
	states := map[string]int{fleet.Online: 0, fleet.Offline: 0, fleet.Stale: 0}
	agents := map[string]int{}
	alerts := map[[2]string]int{}
	for d := range f.All() {
		states[s.Watcher.State(d, now)]++
		agents[s.line(d, now).Agent]++
		for _, a := range d.Alerts {
			alerts[[2]string{a.Name, a.Severity}]++
		}
	}
	e.counts("ratchet_devices", "Devices by state.", "state", states)
	e.counts("ratchet_agents", "Devices by the version of their agent.", "version", agents)
	e.family("ratchet_alerts", "gauge", "Alerts that are raised.")
	for _, k := range slices.SortedFunc(maps.Keys(alerts), func(a, b [2]string) int { return compare(a[0]+"\n"+a[1], b[0]+"\n"+b[1]) }) {
		e.sample("ratchet_alerts", float64(alerts[k]), "name", k[0], "severity", k[1])
	}
	s.jobMetrics(e, f)
	e.family("ratchet_rollout_state", "stateset", "How rollouts stand.")
	for _, job := range slices.Sorted(maps.Keys(f.Rollouts())) {
		var d struct{ State string }
		_ = json.Unmarshal(f.Rollouts()[job], &d) // one that cannot be read has no state
		for _, state := range []string{"running", "paused", "done", "aborted"} {
			e.sample("ratchet_rollout_state", yes(d.State == state), "job_id", job, "ratchet_rollout_state", state)
		}
	}
}

// jobMetrics counts the devices of those jobs that go on, and of the newest others.
func (s *Server) jobMetrics(e exposition, f *fleet.Fleet) {
	e.family("ratchet_job_devices", "gauge", "Devices that have answered, by the state of a job there.")
	lines := f.JobLines()
	done := 0
	for _, l := range slices.Backward(lines) {
		if unfinished := l.States[executor.Queued] + l.States[executor.Waiting] + l.States[executor.Running] + l.States[executor.Undoing]; unfinished == 0 {
			if done++; done > metricJobs {
				continue
			}
		}
		for _, state := range slices.Sorted(maps.Keys(l.States)) {
			e.sample("ratchet_job_devices", float64(l.States[state]), "job_id", l.Job, "state", string(state))
		}
	}
}

// deviceFigures are what a device's own metrics are made of.
var deviceFigures = []struct {
	name, help string
	scale      float64
	at         func(h *feels) *float64
}{
	{"ratchet_device_cpu_ratio", "Share of the CPU that is used.", 100, func(h *feels) *float64 { return h.CPU.Percent }},
	{"ratchet_device_temperature_celsius", "Temperature of the CPU.", 1, func(h *feels) *float64 { return h.CPU.Celsius }},
	{"ratchet_device_memory_ratio", "Share of the memory that is used.", 100, func(h *feels) *float64 { return h.Memory.Percent }},
	{"ratchet_device_disk_ratio", "Share of the fullest disk that is used.", 100, func(h *feels) *float64 { return h.fullest() }},
	{"ratchet_device_load1", "Load over a minute.", 1, func(h *feels) *float64 { return h.Load.M1 }},
}

// feels is a sample of health.
type feels struct {
	CPU    struct{ Percent, Celsius *float64 }
	Memory struct{ Percent *float64 }
	Load   struct{ M1 *float64 }
	Disk   []struct{ Percent float64 }
}

func (h *feels) fullest() (most *float64) {
	for _, d := range h.Disk {
		if most == nil || d.Percent > *most {
			most = &d.Percent
		}
	}
	return most
}

// deviceMetrics writes those of the devices that the operator picked, up to the
// limit. One that is offline or stale has none.
func (s *Server) deviceMetrics(r *http.Request, e exposition) {
	lines, cut, now := []DeviceLine{}, false, time.Now()
	err := s.picked(r.Context(), s.DeviceMetrics, "", func(d *fleet.Device) bool {
		l := s.line(d, now)
		if l.State != fleet.Online || l.Health == nil {
			return true
		}
		if cut = len(lines) == s.DeviceLimit; !cut {
			lines = append(lines, l)
		}
		return !cut
	})
	e.family("ratchet_device_series_limited", "gauge", "Whether there are more devices than --device-limit, or they could not be picked.")
	e.sample("ratchet_device_series_limited", yes(cut || err != nil))
	felt := make([]feels, len(lines))
	for i, l := range lines {
		_ = json.Unmarshal(l.Health, &felt[i]) // what cannot be read is left out
	}
	e.family("ratchet_device", "info", "What a device is; join it by device.")
	for _, l := range lines {
		e.sample("ratchet_device_info", 1, "device", l.Device, "agent", l.Agent, "board", l.known.Board.Model)
	}
	for _, figure := range deviceFigures {
		e.family(figure.name, "gauge", figure.help)
		for i, l := range lines {
			if v := figure.at(&felt[i]); v != nil {
				e.sample(figure.name, *v/figure.scale, "device", l.Device)
			}
		}
	}
}
