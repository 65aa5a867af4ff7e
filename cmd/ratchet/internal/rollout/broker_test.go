package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// realBroker is one in this process, over TCP.
func realBroker(t *testing.T) string {
	t.Helper()
	if raced {
		t.Skip("the broker's library reads what is retained without a lock; the tests in bubbles look for races of ours")
	}
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

func dial(t *testing.T, url string) *link.Client {
	t.Helper()
	c, err := link.Connect(t.Context(), link.Options{Broker: url, Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// process is a carrier with a connection of its own that has read what is there.
// It is in a hurry.
func process(t *testing.T, url, id string) *Carrier {
	t.Helper()
	client := dial(t, url)
	c := &Carrier{Ledger: Ledger{Broker: At(client), View: NewView("j"), ID: id, Settle: 20 * time.Millisecond}, Hold: 50 * time.Millisecond, Beat: 5 * time.Millisecond}
	if err := client.ReadRetained(t.Context(), c.Take, fleet.Filters("r", Parts("j")...)...); err != nil {
		t.Fatal(err)
	}
	return c
}

// crowdAt is n devices at a real broker, known and at work.
func crowdAt(t *testing.T, url string, n int, edit func(*crowd)) *crowd {
	t.Helper()
	client := dial(t, url)
	c := newCrowd(At(client), n)
	if edit != nil {
		edit(c)
	}
	c.arrive(t.Context())
	if err := client.Subscribe(t.Context(), "r/jobs/all/+"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() { c.work(ctx) })
	t.Cleanup(func() { cancel(); all.Wait() })
	return c
}

func hasty(canary, waves string) Document {
	d := started(canary, waves)
	d.Soak, d.Since = executor.Duration(time.Millisecond), stamp(time.Now())
	return d
}

// begin does what the command does: it lays the job out and starts the rollout,
// unless that is done, and carries it on.
func begin(ctx context.Context, c *Carrier, d Document) (Document, error) {
	if _, err := c.Document(); err == nil {
		return c.Run(ctx)
	}
	if err := c.Broker.Publish(ctx, dialect.Topic{To: "all", Name: "j"}, sealed(fleet.ReadOffer([]byte(jobText)), &executor.Rollout{})); err != nil {
		return d, err
	}
	if err := c.Create(ctx, d); err != nil {
		return d, err
	}
	return c.Run(ctx)
}

func TestACarrierKilledAtEachOfItsWritesIsReplaced(t *testing.T) {
	const want = "started canary, opened 50 %, opened 100 %, done 100 %"
	url := realBroker(t)
	crowdAt(t, url, 20, nil)
	whole := process(t, url, "whole")
	counted := &cut{at: 1 << 20}
	counted.into(whole)
	if d, err := begin(t.Context(), whole, hasty(canaries, "50,100")); err != nil || history(d) != want {
		t.Fatalf("uncut: got %s (%v), want %s", history(d), err, want)
	}
	for n := 1; n <= counted.n; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(n, after), func(t *testing.T) {
				t.Parallel()
				url := realBroker(t)
				devices := crowdAt(t, url, 20, nil)
				first := process(t, url, "first")
				broken := &cut{at: n, after: after}
				broken.into(first)
				if d, err := begin(t.Context(), first, hasty(canaries, "50,100")); !errors.Is(err, errCut) && d.State != Done {
					t.Fatalf("the first ended with %v", err)
				}
				d, err := begin(t.Context(), process(t, url, "second"), hasty(canaries, "50,100"))
				got := strings.ReplaceAll(history(d), "carried on ", "")
				for _, wave := range d.Waves {
					got = strings.Replace(got, ", "+wave.String()+", ", ", ", 1)
				}
				if err != nil || got != want && history(d) != want || d.State != Done {
					t.Errorf("cut at %s: got %s, %s (%v), want %s", broken.wrote, d.State, history(d), err, want)
				}
				shares, widened := devices.seen()
				if !widened || shares[len(shares)-1] != 100 {
					t.Errorf("cut at %s: offered to %v %%", broken.wrote, shares)
				}
				if last := d.History[len(d.History)-1].Counts; last.Succeeded != 20 {
					t.Errorf("cut at %s: in the end %v", broken.wrote, last)
				}
			})
		}
	}
}

func TestTwoCarriersAtOnceOnARealBroker(t *testing.T) {
	for i := range 50 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			url := realBroker(t)
			devices := crowdAt(t, url, 3, nil)
			ann := process(t, url, "ann")
			if err := ann.Broker.Publish(t.Context(), dialect.Topic{To: "all", Name: "j"}, sealed(fleet.ReadOffer([]byte(jobText)), &executor.Rollout{})); err != nil {
				t.Fatal(err)
			}
			if err := ann.Create(t.Context(), hasty(canaries, "50,100")); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, c := range []*Carrier{process(t, url, "one"), process(t, url, "two")} {
				c.Hold, c.Settle = Hold, Settle
				all.Go(func() {
					d, err := c.Run(t.Context())
					if got, want := history(d), "started canary, opened 50 %, opened 100 %, done 100 %"; err != nil || got != want {
						t.Errorf("%s: got %s (%v), want %s", c.ID, got, err, want)
					}
				})
			}
			all.Wait()
			if shares, widened := devices.seen(); !widened {
				t.Errorf("offered to %v %%", shares)
			}
		})
	}
}

// Of 300 devices one in ten is away, and of the second wave one in twelve fails.
func TestARolloutStopsByItselfAndGoesOnWhenItIsResumed(t *testing.T) {
	url := realBroker(t)
	d := hasty("", "10,50,100")
	devices := crowdAt(t, url, 300, func(c *crowd) {
		failing := 0
		for i, dev := range c.list {
			switch in10, in50 := dialect.InRollout("j", dev.id, 10), dialect.InRollout("j", dev.id, 50); {
			case i%10 == 3:
				dev.away = true
			case in50 && !in10:
				if failing++; failing%12 == 0 {
					dev.ends = executor.Failed
				}
			}
		}
	})
	stopped, err := begin(t.Context(), process(t, url, "one"), d)
	if want := "started 10 %, opened 50 %, aborted 50 %"; err != nil || history(stopped) != want || stopped.State != Aborted {
		t.Fatalf("got %s, %s (%v), want %s", stopped.State, history(stopped), err, want)
	}
	last := stopped.History[2]
	if !strings.Contains(last.Because, "have failed") || !strings.Contains(last.Because, "at most 2 %") {
		t.Errorf("it stopped because %q", last.Because)
	}
	for _, dev := range devices.list {
		if dev.runs > 0 && !dialect.InRollout("j", dev.id, 50) {
			t.Errorf("%s began before its wave", dev.id)
		}
	}
	two := process(t, url, "two")
	if got := two.View.offered()["all"].Rollout; got == nil || got.Percent != 0 {
		t.Errorf("the job is still offered: %+v", got)
	}
	if err := two.Change(t.Context(), Change{Do: "resume", Because: "the failed were mended", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	done, err := two.Run(t.Context())
	if want := "started 10 %, opened 50 %, aborted 50 %, resumed 50 %, opened 100 %, done 100 %"; err != nil || history(done) != want {
		t.Fatalf("got %s (%v), want %s", history(done), err, want)
	}
	end := done.History[5].Counts
	if end.Away != 30 || end.Failed == 0 || end.Succeeded+end.Failed != 270 || end.Devices != 300 {
		t.Errorf("in the end %v", end)
	}
	if shares, _ := devices.seen(); !slices.Equal(shares, []float64{0, 10, 50, 0, 50, 100}) {
		t.Errorf("offered to %v %%", shares)
	}
}

// What somebody wrote there by hand stays, and is named.
func TestABadDocumentIsLeftAsItIs(t *testing.T) {
	url := realBroker(t)
	crowdAt(t, url, 2, nil)
	at := dialect.Topic{Part: dialect.Rollouts, Name: "j"}
	for _, text := range []string{`{"job":"j","state":"runing"}`, `nonsense`, `{"job":"k"}`} {
		if err := dial(t, url).Publish(t.Context(), at, []byte(text)); err != nil {
			t.Fatal(err)
		}
		c := process(t, url, "one")
		for what, err := range map[string]error{"start": c.Create(t.Context(), hasty(canaries, "100")), "change": c.Change(t.Context(), Change{Do: "abort"}), "run": func() error { _, err := c.Run(t.Context()); return err }()} {
			if err == nil || !strings.Contains(err.Error(), "rollouts/j cannot be read") {
				t.Errorf("%s of %s: got %v", what, text, err)
			}
		}
		var found []byte
		if err := dial(t, url).ReadRetained(t.Context(), func(m link.Message) { found = m.Payload }, at.Below("r")); err != nil || string(found) != text {
			t.Errorf("%s was written over with %s (%v)", text, found, err)
		}
	}
}
