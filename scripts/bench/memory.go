package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	bigFile = 50 << 20 // bytes of a download
	records = 200_000  // of a data job
	fewer   = 20_000   // where the program is emulated
)

// settings of the runtime that are compared: what ratchetd chooses first.
func settings(which string) [][]string {
	if which != "grid" {
		rows := [][]string{nil}
		for row := range strings.FieldsFuncSeq(which, func(r rune) bool { return r == ';' }) {
			rows = append(rows, strings.Fields(row))
		}
		return rows
	}
	rows := [][]string{nil, {"GOMAXPROCS=2"}, {"GODEBUG=madvdontneed=0"}}
	for _, gogc := range []string{"25", "50", "100"} {
		for _, limit := range []string{"off", "8MiB", "12MiB", "16MiB", "32MiB"} {
			rows = append(rows, []string{"GOGC=" + gogc, "GOMEMLIMIT=" + limit})
		}
	}
	return rows
}

func (b *bench) measureMemory(ctx context.Context) error {
	p := b.daemon
	w, err := b.workload(p)
	if err != nil {
		return err
	}
	defer w.file.Close()
	fmt.Printf("Memory of %s, RSS / anonymous, and the processor's time with the number of collections: idle; %d jobs that waited; "+
		"a start with a journal that knows %d ids, all offered again; 50 MiB fetched; a sum over %d JSON lines, with its child\n\n",
		p.name, waiting, b.ids, w.records)
	t := table{{"setting", "idle", "burst: most", "after", "CPU, GCs", "full: most", "after", "CPU, GCs", "fetch: most", "data: most", "CPU"}}
	for i, env := range settings(b.settings) {
		row, err := b.memoryOf(ctx, fmt.Sprintf("memory-%d", i), p, env, w)
		if err != nil {
			return fmt.Errorf("%v: %w", env, err)
		}
		t = t.with(row)
	}
	t.print()
	return nil
}

// A workload is what is done beside jobs that are nothing.
type workload struct {
	file        *httptest.Server
	fetch, data string // steps
	records     int
}

func (b *bench) workload(p program) (*workload, error) {
	text := make([]byte, bigFile)
	for i := range text {
		text[i] = byte(i >> 8)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "file"), text, 0o600); err != nil {
		return nil, err
	}
	w := &workload{records: records}
	if p.emulated {
		w.records = fewer
	}
	lines := filepath.Join(b.dir, "lines")
	if err := os.WriteFile(lines, []byte(strings.Repeat(`{"n":1,"text":"a line as a log has it"}`+"\n", w.records)), 0o600); err != nil {
		return nil, err
	}
	w.file = httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	w.fetch = fmt.Sprintf(`"download":{"url":"%s/file","sha256":"%x","to":"%s/fetched"}`, w.file.URL, sha256.Sum256(text), b.dir)
	w.data = fmt.Sprintf(`"data":{"inputs":["%s"],"format":"jsonl","jq":"reduce inputs as $r (0; . + $r.n)","output":"%s/sum"}`, lines, b.dir)
	return w, nil
}

func (b *bench) memoryOf(ctx context.Context, name string, p program, env []string, w *workload) ([]string, error) {
	f, err := b.footprint(ctx, name, p, env)
	if err != nil {
		return nil, err
	}
	d, err := b.device(name+"-works", p, env)
	if err != nil {
		return nil, err
	}
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	defer d.end(syscall.SIGTERM)
	fetched, err := d.under(ctx, false, func() error { _, err := d.do(ctx, "fetch", w.fetch); return err })
	if err != nil {
		return nil, err
	}
	data, took := load{}, "-"
	if p.twin {
		data, err = d.under(ctx, true, func() error { _, err := d.do(ctx, "sum", w.data); return err })
		if err != nil {
			return nil, err
		}
		took = fmt.Sprintf("%.1f s", data.cpu.Seconds())
	}
	setting := strings.Join(env, " ")
	if len(env) == 0 {
		setting = "as it is"
	}
	return []string{setting, f.idle.String(), f.burst.most.String(), f.burst.after.String(), f.burst.String(),
		f.full.most.String(), f.full.after.String(), f.full.String(), fetched.most.String(), data.most.String(), took}, nil
}
