package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

// A slotSession is the board with two slots, and what was seen of it.
type slotSession struct {
	*slotBoard
	*broker
	machine *machine.Machine
	images  []*image
	url     string
	random  *rand.Rand
	table   *tabwriter.Writer
	jobs    int
	cuts    int
	wrong   int
	now     system // what runs, as the board said last
}

// playSlots has the board take every image once, with no cut.
func playSlots(ctx context.Context, p *place, out io.Writer) error {
	s, err := newSlotSession(p, out)
	if err != nil {
		return err
	}
	for _, i := range s.images[1:] { // the first runs already
		if err := s.play(ctx, i, 0); err != nil {
			return err
		}
	}
	return s.end(out)
}

// playCuts cuts the power at random moments while the board takes images, most
// of them good.
func playCuts(ctx context.Context, p *place, out io.Writer) error {
	s, err := newSlotSession(p, out)
	if err != nil {
		return err
	}
	for s.cuts < p.cuts {
		i := s.images[s.random.IntN(2)]
		if s.random.IntN(3) == 0 {
			i = s.images[2+s.random.IntN(len(bad))]
		}
		if err := s.play(ctx, i, min(1+s.random.IntN(6), p.cuts-s.cuts)); err != nil {
			return err
		}
	}
	return s.end(out)
}

func (s *slotSession) end(out io.Writer) error {
	fmt.Fprintf(out, "%d jobs, %d cuts: %d reports wrong, %d jobs with two ends\n", s.jobs, s.cuts, s.wrong, len(s.changed))
	if s.wrong+len(s.changed) > 0 {
		return fmt.Errorf("what was reported is not what is: see %s", s.machine.Console)
	}
	return nil
}

func newSlotSession(p *place, out io.Writer) (*slotSession, error) {
	d, err := machine.NewDebian(p.cache, "amd64")
	if err != nil {
		return nil, err
	}
	k, err := d.Kernel("cloud-amd64")
	if err != nil {
		return nil, err
	}
	root, err := d.Unpack("busybox-static", "libubootenv-tool", "libubootenv0.1", "zlib1g", "libc6")
	if err != nil {
		return nil, err
	}
	s := &slotSession{slotBoard: &slotBoard{place: p, root: root}, random: rand.New(rand.NewPCG(p.seed, 0)), now: system{"1.0", "A", "0"}}
	s.images = []*image{{version: "1.0", is: "good"}, {version: "2.0", is: "good"}}
	for n, is := range bad {
		s.images = append(s.images, &image{version: fmt.Sprintf("9.%d", n), is: is})
	}
	for _, i := range s.images {
		if err := s.make(i); err != nil {
			return nil, err
		}
	}
	s.table = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(s.table, "the new image\tcuts after (s)\tran\tthe job\truns then\tseconds\tthe report\t")
	return s, s.power(k)
}

// power makes what the board is connected to, and the board.
func (s *slotSession) power(k *machine.Kernel) (err error) {
	if s.broker, err = startBroker(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = fmt.Sprintf("http://10.0.2.2:%d/", listener.Addr().(*net.TCPAddr).Port)
	go func() { _ = http.Serve(listener, http.FileServer(http.Dir(s.dir))) }() // it ends with the program
	if err := s.disk(s.images[0], s.port); err != nil {
		return err
	}
	first, err := s.selector(k)
	if err != nil {
		return err
	}
	initrd, console := filepath.Join(s.dir, "initrd"), filepath.Join(s.dir, "console.log")
	if err := os.WriteFile(initrd, first.CPIO(), 0o644); err != nil {
		return err
	}
	_ = os.Remove(console) // there may be none
	s.machine = machine.New([]string{"qemu-system-x86_64", "-M", "pc", "-cpu", "qemu64,+rdrand", "-m", "192",
		"-drive", "file=" + filepath.Join(s.dir, "disk") + ",format=raw,if=virtio"},
		k, initrd, "console=ttyS0 quiet loglevel=1 panic=1", console)
	return nil
}

// play installs an image with so many cuts of the power, and holds the report
// against what runs afterwards, at the first boot and at another one.
func (s *slotSession) play(ctx context.Context, i *image, cuts int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, fmt.Errorf("%s: no end in ten minutes", i.version))
	defer cancel()
	s.jobs++
	job := fmt.Sprintf("flash-%d", s.jobs)
	s.machine.Mark(fmt.Sprintf("%s: %s, which %s, %d cuts", job, i.version, i.is, cuts))
	before := s.now
	began := time.Now()
	ended, err := s.offer(job, []any{
		step("before", "command", map[string]any{"argv": []string{"true"}}),
		map[string]any{"name": "flash", "maxInterruptions": 20, "confirm": map[string]any{"within": "40s"}, "firmware": map[string]any{
			"url": s.url + filepath.Base(i.path) + ".gz", "sha256": i.sha256, "version": i.version, "board": "vm", "force": true}},
		step("after", "command", map[string]any{"argv": []string{"cat", "/etc/version"}}),
	})
	if err != nil {
		return err
	}
	var moments []string
	_, err = s.machine.Until(ctx, ended, func() time.Duration {
		if len(moments) == cuts {
			return 0
		}
		after := time.Duration(s.random.IntN(18000)) * time.Millisecond
		moments = append(moments, fmt.Sprintf("%.1f", after.Seconds()))
		return after
	})
	if err != nil {
		return err
	}
	s.cuts += cuts
	took := time.Since(began)
	after, err := s.runs(ctx, job+"-after")
	if err != nil {
		return err
	}
	if s.now, err = s.runs(ctx, job+"-again"); err != nil {
		return err
	}
	if s.now != after {
		return fmt.Errorf("%s ran, and after another boot %s", after, s.now)
	}
	s.judge(i, s.report(job), before, after, moments, took)
	return nil
}

// system is what the board itself says of the system that runs.
type system struct{ version, slot, onTrial string }

func (r system) String() string { return r.version + " in " + r.slot }

// runs asks the board, by a job.
func (s *slotSession) runs(ctx context.Context, job string) (r system, err error) {
	report, err := s.run(ctx, s.machine, job, step("who", "command", map[string]any{
		"shell": "cat /etc/version; sed s/ratchet.slot=// /run/cmdline; fw_printenv -n upgrade_available"}))
	if err != nil {
		return r, err
	}
	said := strings.Fields(report.output("who"))
	if report.State != "succeeded" || len(said) != 3 {
		return r, fmt.Errorf("asked what runs, the board is %s (%s) and says %q", report.State, report.Reason, said)
	}
	return system{said[0], said[1], said[2]}, nil
}

func (s *slotSession) judge(i *image, r status, before, after system, moments []string, took time.Duration) {
	verdict := "right"
	switch {
	case after.onTrial != "0":
		verdict = "WRONG: the slot is on trial still"
	case r.State == "succeeded" && (i.is != "good" || after.version != i.version || after.slot == before.slot || strings.TrimSpace(r.output("after")) != i.version):
		verdict = "WRONG: not what runs"
	case r.State == "failed" && after != before:
		verdict = "WRONG: not what ran before"
	case r.State == "failed" && i.is == "good" && len(moments) == 0:
		verdict = "WRONG: a good image was not taken"
	case r.State != "succeeded" && r.State != "failed":
		verdict = "WRONG: no end"
	}
	if verdict != "right" {
		s.wrong++
	}
	state := r.State
	if r.Reason != "" {
		state += ": " + r.Reason
	}
	fmt.Fprintf(s.table, "%s, %s\t%s\t%s\t%s\t%s\t%.0f\t%s\t\n", i.version, i.is, strings.Join(moments, " "), before, state, after, took.Seconds(), verdict)
	_ = s.table.Flush()
}

// step is one of a job's.
func step(name, kind string, with any) any { return map[string]any{"name": name, kind: with} }
