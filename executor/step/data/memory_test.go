package data_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

const mebi = 1 << 20

// TestAReduceStaysWithin32MB measures what the agent's part and the worker have
// in memory that is no file's, together. With RATCHET_MEASURE=1 it does so with
// 200 MB, beside jq, and prints the table.
func TestAReduceStaysWithin32MB(t *testing.T) {
	size, programs := 20_000_000, dataPrograms[:1]
	if os.Getenv("RATCHET_MEASURE") != "" {
		size, programs = 200_000_000, dataPrograms
	}
	worker, err := steptest.DataWorker()
	if err != nil {
		t.Fatal(err)
	}
	in := readings(t, size)
	for _, jq := range programs {
		out := filepath.Join(t.TempDir(), "out")
		with := fmt.Sprintf(`{"inputs":[%q],"format":"jsonl","jq":%q,"output":%q}`, in, jq, out)
		got := measure(t, exec.Command(worker, with))
		t.Logf("ratchetd | %-50s | %5.1f s | %5.1f MiB", jq, got.took.Seconds(), got.anonymous/mebi)
		if got.anonymous > 32*mebi || got.anonymous == 0 {
			t.Errorf("%s: got %.1f MiB of anonymous memory, want some, at most 32", jq, got.anonymous/mebi)
		}
		if jqProgram, err := exec.LookPath("jq"); err == nil && size > 100_000_000 {
			other := measure(t, exec.Command(jqProgram, "-nc", jq, in))
			t.Logf("jq       | %-50s | %5.1f s | %5.1f MiB", jq, other.took.Seconds(), other.anonymous/mebi)
		}
	}
}

var dataPrograms = []string{
	`reduce inputs as $r (0; . + $r.value)`,
	`inputs | select(.value > 990) | {device, value}`,
	`reduce inputs as $r ({}; .[$r.device] += $r.value)`,
}

// readings writes a file of JSON lines as a gateway collects them.
func readings(t *testing.T, size int) string {
	path := filepath.Join(t.TempDir(), "in.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	for i, n := 0, 0; n < size; i++ {
		m, _ := fmt.Fprintf(w, `{"time":%d,"device":"gw-%d","value":%d,"celsius":%.2f,"ok":true,"tags":["a","b"]}`+"\n",
			1_700_000_000+i, i%50, i*7919%1000, float64(i%9000)/100)
		n += m
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

type measured struct {
	took      time.Duration
	anonymous float64 // bytes, the most that was seen of the process and its children
}

func measure(t *testing.T, cmd *exec.Cmd) (m measured) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- cmd.Wait() }()
	for {
		m.anonymous = max(m.anonymous, anonymous(cmd.Process.Pid))
		select {
		case err := <-done:
			if m.took = time.Since(began); err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			return m
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func anonymous(pid int) (sum float64) {
	rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	_, rest, _ := strings.Cut(string(rollup), "Anonymous:")
	if fields := strings.Fields(rest); len(fields) > 0 {
		kib, _ := strconv.ParseFloat(fields[0], 64)
		sum = kib * 1024
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(text)) {
			child, _ := strconv.Atoi(field)
			sum += anonymous(child)
		}
	}
	return sum
}
