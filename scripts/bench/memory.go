package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	bigFile = 50 << 20 // bytes of a download
	records = 200_000  // of a data job
)

// settings of the runtime that are compared; the first is what ratchetd chooses.
var settings = [][]string{nil, {"GOGC=100"}, {"GOGC=25"}, {"GOMEMLIMIT=8MiB"}}

func (b *bench) measureMemory(ctx context.Context) error {
	file, sum, err := b.bigFile()
	if err != nil {
		return err
	}
	defer file.Close()
	full, err := b.fill(ctx)
	if err != nil {
		return err
	}
	lines := filepath.Join(b.dir, "lines")
	if err := os.WriteFile(lines, []byte(strings.Repeat(`{"n":1,"text":"a line as a log has it"}`+"\n", records)), 0o600); err != nil {
		return err
	}
	fmt.Printf("Memory, RSS / anonymous: idle, and the most while 50 MiB are fetched, while a device starts that knows %d ids, and in a sum over %d JSON lines with its child\n\n", b.ids, records)
	t := table{{"setting", "idle", "download", "full journal: most", "full journal: idle", "data", "CPU s"}}
	compared := settings
	if b.emulated {
		compared = settings[:1] // it is slow
	}
	for i, s := range compared {
		row, err := b.memoryOf(ctx, i, s, full, map[string]string{
			"download": fmt.Sprintf(`"download":{"url":"%s/file","sha256":"%s","to":"%s/fetched"}`, file.URL, sum, b.dir),
			"data":     fmt.Sprintf(`"data":{"inputs":["%s"],"format":"jsonl","jq":"reduce inputs as $r (0; . + $r.n)","output":"%s/sum"}`, lines, b.dir)})
		if err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		t = append(t, row)
	}
	t.print()
	return nil
}

// bigFile serves what is fetched.
func (b *bench) bigFile() (*httptest.Server, string, error) {
	path := filepath.Join(b.dir, "file")
	text := make([]byte, bigFile)
	for i := range text {
		text[i] = byte(i >> 8)
	}
	s := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	return s, fmt.Sprintf("%x", sha256.Sum256(text)), os.WriteFile(path, text, 0o600)
}

// fill makes a journal that knows as many jobs as it may, and returns where it lies.
func (b *bench) fill(ctx context.Context) (string, error) {
	state := filepath.Join(b.dir, "full")
	d, err := b.configure("full", state)
	if err != nil {
		return "", err
	}
	d.program = b.filler
	var marks []<-chan status // each is waited for by itself: all of them take long
	for i := range b.ids {
		job := fmt.Sprintf("known-%04d", i)
		if i%100 == 0 || i == b.ids-1 {
			marks = append(marks, b.broker.follow(d.device, job))
		}
		if err := b.broker.offer(d.device, job, `"when":"false",`+noop); err != nil {
			return "", err
		}
	}
	if err := d.start(); err != nil {
		return "", err
	}
	defer d.end(syscall.SIGTERM)
	for _, job := range marks {
		if _, err := d.wait(ctx, job, status.final); err != nil {
			return "", err
		}
	}
	return state, nil
}

// memoryOf is one row: a device of its own, then one that knows many ids.
func (b *bench) memoryOf(ctx context.Context, n int, env []string, full string, jobs map[string]string) ([]string, error) {
	name := strings.Join(env, " ")
	d, err := b.configure(fmt.Sprintf("memory-%d", n), filepath.Join(b.dir, fmt.Sprintf("memory-%d", n), "state"))
	if err != nil {
		return nil, err
	}
	d.env = env
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	defer d.end(syscall.SIGTERM)
	idle, err := d.settled(ctx)
	if err != nil {
		return nil, err
	}
	fetched, err := d.most(func() error { _, err := d.do(ctx, "fetch", jobs["download"]); return err })
	if err != nil {
		return nil, err
	}
	data := memory{}
	if !b.emulated {
		data, err = d.most(func() error { _, err := d.do(ctx, "sum", jobs["data"]); return err })
		if err != nil {
			return nil, err
		}
	}
	used, err := readUsage(d.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	knows, starts, err := b.knowing(ctx, env, full)
	if name == "" {
		name = "as it is"
	}
	return []string{name, idle.String(), fetched.String(), starts.String(), knows.String(), data.String(), fmt.Sprintf("%.1f", used.cpu.Seconds())}, err
}

// knowing starts a device with a copy of a full journal.
func (b *bench) knowing(ctx context.Context, env []string, full string) (idle, most memory, err error) {
	state := full + "-copy"
	defer os.RemoveAll(state)
	if err := exec.Command("cp", "-a", full, state).Run(); err != nil {
		return idle, most, err
	}
	d, err := b.configure("full", state)
	if err != nil {
		return idle, most, err
	}
	d.env = env
	job := fmt.Sprintf("new-%d", time.Now().UnixNano())
	if err := d.start(); err != nil {
		return idle, most, err
	}
	defer d.end(syscall.SIGTERM)
	most, err = d.most(func() error { _, err := d.do(ctx, job, noop); return err })
	if err == nil {
		idle, err = d.settled(ctx)
	}
	// The next one does not know it, and has no room for more.
	return idle, most, b.broker.Publish("ratchet/v1/jobs/device/full/"+job, nil, true, 1)
}
