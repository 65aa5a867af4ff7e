package rollout

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/executor"
)

const canaries = `.tags.ring == "canary"`

const jobText = `{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}}]}`

// The tests mostly wait for brokers and for claims to run out: many can do so at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// started is a rollout that somebody has started and nobody carries.
func started(canary, waves string) Document {
	list, err := Waves(canary, waves)
	if err != nil {
		panic(err)
	}
	return Start(Plan{Job: "j", Digest: executor.Digest([]byte(jobText)), To: []string{"all"}, Waves: list, Soak: 10 * time.Minute,
		Gates: Gates{AbortAbove: 2, MinAnswers: 80, Within: executor.Duration(2 * time.Hour)}}, "ann", "", time.Now())
}

// on is a carrier at an end of the wire.
func on(w *wire, id string) *Carrier {
	e, retained := w.connect()
	c := &Carrier{Ledger: Ledger{Broker: e, View: NewView("j"), ID: id}}
	for _, m := range retained {
		c.Take(m)
	}
	return c
}

// lay lays the job out for nobody yet, as a start does.
func lay(ctx context.Context, b Broker) {
	_ = b.Publish(ctx, dialect.Topic{To: "all", Name: "j"}, sealed(fleet.ReadOffer([]byte(jobText)), &executor.Rollout{}))
}

// history is what was done, such as "started canary, opened 10 %".
func history(d Document) string {
	var list []string
	for _, e := range d.History {
		list = append(list, e.Did+" "+e.Wave)
	}
	return strings.Join(list, ", ")
}

// bubble runs a test in which time is as fast as it likes, over a wire.
func bubble(t *testing.T, seed uint64, slow time.Duration, devices int, test func(context.Context, *wire, *crowd)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWire(ctx, seed, slow)
		e, _ := w.connect()
		c := newCrowd(e, devices)
		test(ctx, w, c)
		cancel()
		synctest.Wait()
	})
}

func TestWavesGoOnByTheClock(t *testing.T) {
	bubble(t, 1, 0, 100, func(ctx context.Context, w *wire, c *crowd) {
		c.list[50].away = true
		for _, d := range c.list {
			d.after = 3 * time.Minute
		}
		go c.work(ctx)
		c.arrive(ctx)
		begun := time.Now()
		first := on(w, "first")
		lay(ctx, first.Broker)
		if err := first.Create(ctx, started(canaries, "50,100")); err != nil {
			t.Fatal(err)
		}
		d, err := first.Run(ctx)
		if want := "started canary, opened 50 %, opened 100 %, done 100 %"; err != nil || history(d) != want || d.State != Done || d.Carrier != nil {
			t.Errorf("got %s, %s (%v), want %s", d.State, history(d), err, want)
		}
		// Three waves of 3 minutes of work and 10 of soak; nobody waits for the one that is away.
		if took := time.Since(begun); took < 39*time.Minute || took > 42*time.Minute {
			t.Errorf("it took %v, want about 39 minutes", took)
		}
		shares, widened := c.seen()
		if last := d.History[3].Counts; !slices.Equal(shares, []float64{0, 50, 100}) || !widened || last.Succeeded != 99 || last.Away != 1 {
			t.Errorf("offered to %v %%, and %v in the end", shares, last)
		}
	})
}

func TestAClaimIsRenewedAndTakenOverWhenItLapses(t *testing.T) {
	bubble(t, 1, 0, 20, func(ctx context.Context, w *wire, c *crowd) {
		go c.work(ctx)
		c.arrive(ctx)
		first := on(w, "first")
		lay(ctx, first.Broker)
		if err := first.Create(ctx, started(canaries, "100")); err != nil {
			t.Fatal(err)
		}
		second := on(w, "second")
		(&cut{at: 8}).into(first) // the claim, two offers, and renewals
		died := make(chan time.Time, 1)
		go func() {
			if _, err := first.Run(ctx); !errors.Is(err, errCut) {
				t.Errorf("the first one ended with %v", err)
			}
			died <- time.Now()
		}()
		var took time.Time
		second.Show = func(_ Document, _ Seen, mine bool) {
			if mine && took.IsZero() {
				took = time.Now()
			}
		}
		time.Sleep(10 * time.Second)
		d, err := second.Run(ctx)
		if want := "started canary, carried on"; err != nil || d.State != Done || !strings.HasPrefix(history(d), want) {
			t.Errorf("got %s, %s (%v), want %s", d.State, history(d), err, want)
		}
		if waited := took.Sub(<-died); waited < 30*time.Second || waited > 70*time.Second {
			t.Errorf("it was taken over after %v, want once a claim of a minute had run out", waited)
		}
	})
}

// Whatever each of the two sees late, only one of them carries.
func TestTwoCarriersAtOnceOnASlowBroker(t *testing.T) {
	for seed := range uint64(50) {
		bubble(t, seed, 300*time.Millisecond, 5, func(ctx context.Context, w *wire, c *crowd) {
			go c.work(ctx)
			c.arrive(ctx)
			d := started(canaries, "50,100")
			d.Soak = executor.Duration(time.Minute)
			lay(ctx, c.broker)
			if err := on(w, "ann").Create(ctx, d); err != nil {
				t.Fatal(err)
			}
			one, two := on(w, "one"), on(w, "two")
			var mine [2]atomic.Bool
			var all sync.WaitGroup
			for i, c := range []*Carrier{one, two} {
				c.Show = func(_ Document, _ Seen, m bool) { mine[i].Store(m) }
				all.Go(func() {
					if d, err := c.Run(ctx); err != nil || d.State != Done {
						t.Errorf("seed %d: carrier %s ended with %s (%v)", seed, c.ID, d.State, err)
					}
				})
			}
			ended := make(chan struct{})
			go func() { all.Wait(); close(ended) }()
			for {
				select {
				case <-time.After(time.Second):
				case <-ended:
					if shares, widened := c.seen(); !widened {
						t.Errorf("seed %d: offered to %v %%", seed, shares)
					}
					if got, want := history(one.doc), "started canary, opened 50 %, opened 100 %, done 100 %"; got != want {
						t.Errorf("seed %d: got %s", seed, got)
					}
					return
				}
				if mine[0].Load() && mine[1].Load() {
					t.Errorf("seed %d: both carry it", seed)
					return
				}
			}
		})
	}
}

// An operator's word counts, whenever it comes.
func TestAPauseBesideACarrierIsNotLost(t *testing.T) {
	for seed := range uint64(30) {
		bubble(t, seed, 300*time.Millisecond, 5, func(ctx context.Context, w *wire, c *crowd) {
			go c.work(ctx)
			c.arrive(ctx)
			ann := on(w, "zoe")
			d := started(canaries, "50,100")
			d.Soak = 0
			lay(ctx, c.broker)
			if err := ann.Create(ctx, d); err != nil {
				t.Fatal(err)
			}
			one := on(w, "one")
			ended := make(chan Document, 1)
			go func() {
				d, err := one.Run(ctx)
				if err != nil {
					t.Error(err)
				}
				ended <- d
			}()
			_ = ann.listen(ctx, time.Duration(seed)*200*time.Millisecond) // in whatever it is doing
			err := ann.Change(ctx, Change{Do: "pause", Because: "lunch", By: "zoe"})
			got := <-ended
			if done := strings.HasSuffix(history(got), "done 100 %"); done != (err != nil) || !done && !strings.Contains(history(got), "paused") {
				t.Errorf("seed %d: got %s, %s; the pause said %v", seed, got.State, history(got), err)
			}
		})
	}
}

var errCut = errors.New("cut")

// A cut ends a process at one of its writes, before or after the broker has it.
type cut struct {
	at    int
	after bool
	n     int
	wrote string
}

// into lets a carrier's connection be cut.
func (k *cut) into(c *Carrier) {
	publish := c.Broker.Publish
	c.Broker.Publish = func(ctx context.Context, to dialect.Topic, payload []byte) error {
		if k.n++; k.n < k.at {
			return publish(ctx, to, payload)
		}
		if k.wrote = fmt.Sprint(to); k.after && k.n == k.at {
			_ = publish(ctx, to, payload)
		}
		return errCut
	}
}
