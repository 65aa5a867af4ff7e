package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

type handler func(ctx context.Context, r Request, say func(any) error) error

func (h handler) Answer(ctx context.Context, r Request, say func(any) error) error {
	return h(ctx, r, say)
}

// startLocal runs a local socket until the test ends, or until stop is called.
func startLocal(t *testing.T, path string, patience time.Duration, handle handler) (stop func()) {
	t.Helper()
	l := &Server{Path: path, Answer: handle, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), patience: patience}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop = func() {
		cancel()
		select {
		case err := <-ended:
			if ended <- nil; err != nil {
				t.Errorf("got %v from run, want it to end cleanly", err)
			}
		case <-time.After(time.Minute):
			t.Error("the local socket did not end")
		}
	}
	t.Cleanup(stop)
	await(t, "the socket", func() bool {
		c, err := dialLocal(t.Context(), path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return stop
}

// await waits until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within a minute", what)
		}
	}
}

// ask returns all values of an answer and how it ended.
func ask(t *testing.T, path string, r Request) ([]string, error) {
	t.Helper()
	var got []string
	err := Call(t.Context(), path, r, func(v json.RawMessage) error {
		got = append(got, string(v))
		return nil
	})
	return got, err
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// echo says what it was asked, once for every byte of the id.
func echo(_ context.Context, r Request, say func(any) error) error {
	for range r.ID {
		if err := say(r); err != nil {
			return err
		}
	}
	if r.Do == "fail" {
		return errors.New("no such job: " + r.Text)
	}
	return nil
}

func TestEveryValueOfAnAnswerArrivesAndThenItsEnd(t *testing.T) {
	path := Path(t.TempDir())
	startLocal(t, path, 0, echo)
	jobs, fail := `{"do":"jobs","id":"ab"}`, `{"do":"fail","id":"a","text":"<x>"}`
	for _, c := range []struct {
		ask  Request
		want []string
		err  string
	}{
		{Request{Do: "status"}, nil, ""},
		{Request{Do: "jobs", ID: "ab"}, []string{jobs, jobs}, ""},
		{Request{Do: "fail", ID: "a", Text: "<x>"}, []string{strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(fail)}, "no such job: <x>"},
		{Request{Do: "fail"}, nil, "no such job: "},
	} {
		got, err := ask(t, path, c.ask)
		if !slices.Equal(got, c.want) || errText(err) != c.err {
			t.Errorf("%+v: got %q, %v, want %q, %s", c.ask, got, err, c.want, c.err)
		}
	}
}

func TestTheGreatestDocumentGoesThrough(t *testing.T) {
	path := Path(t.TempDir())
	startLocal(t, path, 0, func(_ context.Context, r Request, say func(any) error) error { return say(len(r.Text)) })
	got, err := ask(t, path, Request{Do: "submit", Text: strings.Repeat(`"`, 128<<10)})
	if want := []string{"131072"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestBadRequestsAreRefusedByName(t *testing.T) {
	path := Path(t.TempDir())
	refuse := func(context.Context, Request, func(any) error) error {
		t.Error("a bad request was handled")
		return nil
	}
	startLocal(t, path, 0, refuse)
	impatient := Path(t.TempDir())
	startLocal(t, impatient, 100*time.Millisecond, refuse)
	for _, c := range []struct{ to, send, want string }{
		{path, "{\n", "it ends too early"},
		{path, "status\n", "not JSON"},
		{path, `{"do":"status","jobb":1}` + "\n", "jobb: unknown field"},
		{path, `{"do":7}` + "\n", "do: want a string"},
		{path, "\n", "it ends too early"},
		{path, strings.Repeat(" ", maxRequest) + "{}\n", fmt.Sprintf("at most %d bytes", maxRequest)},
		{impatient, `{"do":"status"`, "timeout"},
	} {
		conn, err := net.Dial("unix", c.to)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(c.send)) // of what is too long not all is read
		got := errText(readAnswer(conn, nil))
		if !strings.HasPrefix(got, "reading the request: ") || !strings.Contains(got, c.want) {
			t.Errorf("%.30q: got %q, want %q", c.send, got, c.want)
		}
		conn.Close()
	}
	_, err := ask(t, path, Request{Do: "submit", Text: strings.Repeat("x", maxRequest)})
	if got, want := errText(err), fmt.Sprintf("at most %d are taken", maxRequest-1); !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAWatchEndsWhenItsClientLeaves(t *testing.T) {
	path := Path(t.TempDir())
	ended := make(chan struct{})
	startLocal(t, path, 0, func(ctx context.Context, _ Request, say func(any) error) error {
		defer close(ended)
		if err := say("first"); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	enough := errors.New("seen enough")
	err := Call(t.Context(), path, Request{Do: "watch"}, func(json.RawMessage) error { return enough })
	if err != enough {
		t.Errorf("got %v, want %v", err, enough)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the watch goes on")
	}
}

func TestAnEndedContextEndsTheCall(t *testing.T) {
	path := Path(t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	startLocal(t, path, 0, func(ctx context.Context, _ Request, _ func(any) error) error {
		cancel(errors.New("watched for long enough"))
		<-ctx.Done()
		return nil
	})
	err := Call(ctx, path, Request{Do: "watch"}, nil)
	if got, want := errText(err), "watched for long enough"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAClientThatTakesNothingIsDropped(t *testing.T) {
	path := Path(t.TempDir())
	said := make(chan error, 1)
	startLocal(t, path, 50*time.Millisecond, func(_ context.Context, _ Request, say func(any) error) error {
		var err error
		for err == nil {
			err = say(strings.Repeat("x", 16<<10))
		}
		said <- err
		return err
	})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, `{"do":"watch"}`)
	select {
	case err := <-said:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
	case <-time.After(time.Minute):
		t.Error("the agent still waits for the client")
	}
}

func TestOneClientTooManyIsToldAndTheOthersGoOn(t *testing.T) {
	path := Path(t.TempDir())
	begun, release := make(chan struct{}), make(chan struct{})
	startLocal(t, path, 0, func(_ context.Context, r Request, say func(any) error) error {
		if r.Do == "watch" {
			begun <- struct{}{}
			<-release
		}
		return say("done")
	})
	answers := make(chan error, maxConnections)
	for held := 0; held < maxConnections; {
		go func() {
			answers <- Call(context.Background(), path, Request{Do: "watch"}, func(json.RawMessage) error { return nil })
		}()
		select {
		case <-begun:
			held++
		case <-answers: // who asked whether it listens had not left yet
		}
	}
	_, err := ask(t, path, Request{Do: "submit", Text: strings.Repeat("x", 100<<10)})
	if got, want := errText(err), "busy: 8 programs are being answered; try again"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	close(release)
	for range maxConnections {
		if err := <-answers; err != nil {
			t.Errorf("got %v, want an answer", err)
		}
	}
	await(t, "room", func() bool {
		_, err := ask(t, path, Request{Do: "status"})
		return err == nil
	})
}

func TestStoppingTellsWhoeverWaits(t *testing.T) {
	path := Path(t.TempDir())
	begun := make(chan struct{})
	stop := startLocal(t, path, 0, func(ctx context.Context, _ Request, _ func(any) error) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	silent, err := net.Dial("unix", path) // has asked nothing yet
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	answer := make(chan error, 1)
	go func() { answer <- Call(context.Background(), path, Request{Do: "watch"}, nil) }()
	<-begun
	stop()
	if got, want := errText(<-answer), "ratchetd is stopping: ask again when it runs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the socket gone", err)
	}
	_, err = ask(t, path, Request{Do: "status"})
	if got, want := errText(err), "no ratchetd answers at "+path+": start it, or name its config with --config"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A request over which the agent panics is answered with that, and logged; the
// next one is answered as ever.
func TestAPanicEndsOneRequest(t *testing.T) {
	path := Path(t.TempDir())
	startLocal(t, path, 0, func(ctx context.Context, r Request, say func(any) error) error {
		if r.Do == "poison" {
			panic("poison")
		}
		return echo(ctx, r, say)
	})
	if _, err := ask(t, path, Request{Do: "poison"}); !strings.Contains(errText(err), "panic: poison (a bug in ratchet: please report it)") {
		t.Errorf("got %v", err)
	}
	if got, err := ask(t, path, Request{Do: "jobs", ID: "a"}); err != nil || len(got) != 1 {
		t.Errorf("got %q (%v), want one value", got, err)
	}
}
