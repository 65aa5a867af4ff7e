package telemetry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	pings     = 3
	pingEvery = 300 * time.Millisecond
	pingLate  = time.Second     // for the last answer
	pingAny   = 5 * time.Second // for any answer at all; a modem that sleeps takes its time
)

var errNoAnswer = errors.New("no answer")

// Ping measures how long a host takes to answer, in milliseconds: the best of a
// few echoes. Where the kernel does not let it send them it runs the program ping. Of
// several addresses the first that answers counts.
func (p Prober) Ping(ctx context.Context, host string) (Reading, error) {
	found, err := p.resolver(ctx).LookupNetIP(ctx, "ip", host)
	if err != nil {
		return Reading{}, err
	}
	return pingEach(ctx, inTurn(found), ping)
}

const (
	pingTargets = 6                      // addresses of a host
	pingNext    = 300 * time.Millisecond // until the next one is tried beside those that are silent
)

// inTurn are addresses with their families in turn, the first one's first: where one
// family leads nowhere half of them do.
func inTurn(found []netip.Addr) []netip.Addr {
	var first, second, all []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() == found[0].Unmap().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	for i := range max(len(first), len(second)) {
		all = append(all, first[min(i, len(first)):min(i+1, len(first))]...)
		all = append(all, second[min(i, len(second)):min(i+1, len(second))]...)
	}
	return all[:min(len(all), pingTargets)]
}

// pingEach tries one address after another, without waiting for those that are silent. The
// error is that of all.
func pingEach(ctx context.Context, targets []netip.Addr, one func(context.Context, netip.Addr) (Reading, error)) (Reading, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		Reading
		err error
	}
	results := make(chan result, len(targets))
	var errs []error
	begun := 0
	next := time.NewTimer(0)
	defer next.Stop()
	for len(errs) < len(targets) {
		select {
		case <-next.C:
			to := targets[begun]
			go func() {
				r, err := attempt(func() (Reading, error) { return one(ctx, to) })
				results <- result{r, err}
			}()
			if begun++; begun < len(targets) {
				next.Reset(pingNext)
			}
		case r := <-results:
			if r.err == nil {
				return r.Reading, nil
			}
			if errs = append(errs, r.err); begun < len(targets) {
				next.Reset(0)
			}
		}
	}
	return Reading{}, joined(errs)
}

// joined is what all said; it is known only where one knew.
func joined(errs []error) error {
	var texts []string
	known := false
	for _, err := range errs {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		known = known || !errors.As(err, new(Unknown))
	}
	switch all := strings.Join(texts, "; "); {
	case len(texts) == 1:
		return errs[0]
	case known:
		return errors.New(all)
	default:
		return Unknown{all}
	}
}

func ping(ctx context.Context, to netip.Addr) (Reading, error) {
	conn, err := dialICMP(to)
	if isDenied(err) {
		return pingProgram(ctx, to)
	}
	if err != nil {
		return Reading{}, err
	}
	e := echoes{conn: conn}
	_, _ = rand.Read(e.token[:])
	e.run(ctx)
	if e.answered == 0 {
		return Reading{}, fmt.Errorf("%w, after %d echoes to %s", e.why(), len(e.sent), to)
	}
	return inMillis(e.best, fmt.Sprintf("%s, %d of %d lost", to, len(e.sent)-e.answered, len(e.sent))), nil
}

// isDenied reports whether the kernel refuses to let this program send echoes.
func isDenied(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// echoes are the requests of one ping and what came back.
type echoes struct {
	conn     icmpConn
	token    [8]byte // tells our answers from those to other programs
	sent     []time.Time
	heard    [256]bool
	answered int
	best     time.Duration
	err      error // the last one that the network reported
}

// run sends a few, and as long as none is answered some more. It closes conn.
func (e *echoes) run(ctx context.Context) {
	defer e.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = e.conn.Close() })()
	start := time.Now()
	for ctx.Err() == nil {
		wait := pingEvery
		if len(e.sent) >= pings-1 {
			wait = pingLate
		}
		e.send()
		e.listen(time.Now().Add(wait))
		if len(e.sent) >= pings && (e.answered > 0 || time.Since(start) > pingAny) {
			return
		}
	}
}

func (e *echoes) send() {
	m := e.conn.request(byte(len(e.sent)), e.token)
	e.sent = append(e.sent, time.Now())
	if _, err := e.conn.Write(m); err != nil {
		e.err = err
	}
}

// listen returns when all are answered, or at the end. What the network tells,
// such as that there is no route, may pass.
func (e *echoes) listen(end time.Time) {
	buf := make([]byte, 512)
	_ = e.conn.SetReadDeadline(end)
	for e.answered < len(e.sent) {
		n, err := e.conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			e.err = err
			continue
		}
		if seq, ok := e.conn.answer(buf[:n], e.token); ok {
			e.received(seq)
		}
	}
}

func (e *echoes) received(seq byte) {
	if int(seq) >= len(e.sent) || e.heard[seq] {
		return
	}
	took := time.Since(e.sent[seq])
	if e.answered == 0 || took < e.best {
		e.best = took
	}
	e.heard[seq] = true
	e.answered++
}

func (e *echoes) why() error {
	if e.err == nil {
		return errNoAnswer
	}
	var op *net.OpError
	if errors.As(e.err, &op) {
		return op.Err
	}
	return e.err
}
