package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// telegrafLike is the same fields in InfluxDB's line protocol, all of them
// every ten seconds and compressed, as telegraf sends them by default. Its CPU
// is not measured: this is its format, not the program.
func telegrafLike(sample []byte) []string {
	text := lines(sample)
	n := int(day / telegrafAt)
	return []string{"the same fields as line protocol every 10 s, as telegraf", fmt.Sprint(n), kilo(n * len(text)), kilo(n * zipped(text)), "-", "-"}
}

// lines makes a line of each part of a sample, and of each member of a list.
func lines(sample []byte) []byte {
	var parts map[string]json.RawMessage
	_ = json.Unmarshal(sample, &parts) // the daemon wrote it
	var out bytes.Buffer
	for name, part := range parts {
		var one map[string]any
		var many []map[string]any
		if json.Unmarshal(part, &one) == nil {
			many = append(many, one)
		} else if json.Unmarshal(part, &many) != nil {
			continue
		}
		for _, fields := range many {
			fmt.Fprintf(&out, "%s,host=gw-7%s %d\n", name, lineOf(fields), time.Now().UnixNano())
		}
	}
	return out.Bytes()
}

func lineOf(fields map[string]any) string {
	tags, values := "", []string{}
	for key, v := range fields {
		switch v := v.(type) {
		case string:
			tags += "," + key + "=" + v
		case float64:
			values = append(values, fmt.Sprintf("%s=%v", key, json.Number(fmt.Sprintf("%.10g", v))))
		case bool:
			values = append(values, fmt.Sprintf("%s=%t", key, v))
		case []any:
			for i, one := range v {
				values = append(values, fmt.Sprintf("%s%d=%v", key, i, one))
			}
		}
	}
	slices.Sort(values)
	return tags + " " + strings.Join(values, ",")
}

func zipped(text []byte) int {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(text)
	_ = w.Close()
	return out.Len()
}

// fields are those of node_exporter that say what a sample says.
var fields = []string{"node_cpu_seconds_total", "node_load", "node_pressure_", "node_memory_MemTotal", "node_memory_MemAvailable", "node_memory_Swap",
	"node_filesystem_size", "node_filesystem_avail", "node_filesystem_free", "node_filesystem_files", "node_network_receive_bytes", "node_network_transmit_bytes", "node_network_receive_errs",
	"node_network_transmit_errs", "node_network_receive_drop", "node_network_transmit_drop", "node_network_up", "node_network_speed", "node_nf_conntrack",
	"node_procs_", "node_boot_time", "node_time_seconds", "node_thermal_zone_temp", "node_hwmon_temp", "process_resident", "process_cpu"}

// nodeExporter scrapes a real one as often as ratchetd samples, all of its
// text or the fields that a sample has too, with their comments.
func (b *bench) nodeExporter(ctx context.Context, all bool) []string {
	name := map[bool]string{true: "node_exporter's whole text every 30 s", false: "node_exporter's text for the same fields"}[all]
	text, cpu, err := scrape(ctx, 20)
	if err != nil {
		return []string{name, "not measured: " + err.Error(), "-", "-", "-", "-"}
	}
	if !all {
		text = sameFields(text)
	}
	n := int(day / sampled)
	return []string{name, fmt.Sprint(n), kilo(n * len(text)), kilo(n * zipped(text)), fmt.Sprint((time.Duration(n) * cpu).Milliseconds()), "-"}
}

func sameFields(text []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(string(line), "# HELP "), "# TYPE "))
		if slices.ContainsFunc(fields, func(f string) bool { return len(words) > 0 && strings.HasPrefix(words[0], f) }) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// scrape returns the last text and the processor time of one of rounds scrapes.
func scrape(ctx context.Context, rounds int) ([]byte, time.Duration, error) {
	const address = "127.0.0.1:19101"
	path, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		return nil, 0, fmt.Errorf("prometheus-node-exporter is not installed")
	}
	cmd := exec.CommandContext(ctx, path, "--web.listen-address="+address)
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var text []byte
	for range 50 {
		if text, err = get(ctx, "http://"+address+"/metrics"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	before, usageErr := readUsage(cmd.Process.Pid)
	for i := 0; i < rounds && err == nil; i++ {
		text, err = get(ctx, "http://"+address+"/metrics")
		time.Sleep(200 * time.Millisecond)
	}
	after, afterErr := readUsage(cmd.Process.Pid)
	return text, (after.cpu - before.cpu) / time.Duration(rounds), cmp.Or(err, usageErr, afterErr)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
