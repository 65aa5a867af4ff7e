package serve

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
)

// A tab is a page in a real browser, which notes what goes wrong in it.
type browser struct {
	ctx  context.Context
	base string
	t    *testing.T
	mu   sync.Mutex
	bad  []string
}

// inBrowser opens the server's address, as it is printed, in Debian's Chromium.
func inBrowser(t *testing.T, s *stage) *browser {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("set RATCHET_E2E=1, as make e2e does")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	web := httptest.NewServer(s.handler)
	t.Cleanup(web.CloseClientConnections)
	at, _ := url.Parse(web.URL)
	s.server.Guard.Port = at.Port()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx, base: web.URL, t: t}
	b.run() // starts it
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	_, err = chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (any, error) {
		if _, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{}); err != nil {
			return nil, err
		}
		return cdp.Call(ctx, t, log.Enable, cdp.Empty{})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Navigate(web.URL+"/#t="+chief), chromedp.WaitVisible(chromedp.CSS("#counts table, #counts ul")))
	return b
}

// listen notes what a good page does not do: errors, and requests to others.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.bad = append(b.bad, "an exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "401") { // of the page before the token
			b.bad = append(b.bad, "an error: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.base) && !strings.HasPrefix(u, "data:") {
			b.bad = append(b.bad, "a request to "+u)
		}
	}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// wait waits until a JavaScript expression is true, be it on the next page.
func (b *browser) wait(what, expression string) {
	b.t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		if yes && err == nil {
			return
		}
		if time.Now().After(late) {
			page, _ := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("body")))
			b.t.Fatalf("%s: %v in:\n%s", what, err, page)
		}
	}
}

// shot keeps a picture where RATCHET_SHOTS names a folder.
func (b *browser) shot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if dir := os.Getenv("RATCHET_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.bad {
		b.t.Error(what)
	}
}

const hostile = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`

func TestE2EThePageInABrowser(t *testing.T) {
	s := staged(t, func(s *stage) {
		fewDevices(s)
		s.say("gw-4", "facts", "", fmt.Sprintf(`{"device":"gw-4","tags":{"site":%q},"board":{"model":%q}}`, hostile, hostile))
		s.say("gw-4", "jobs", "wifi", fmt.Sprintf(`{"state":"failed","rev":4,"reason":%q,"steps":[{"name":%q,"state":"failed","output":%q}]}`, hostile, hostile, hostile))
		s.say("gw-4", "alerts", "disk", fmt.Sprintf(`{"state":"raised","severity":%q,"since":"2026-11-30T11:00:00Z","rule":%q}`, hostile, hostile))
	})
	b := inBrowser(t, s)
	b.wait("five devices", `document.querySelectorAll("#devices tbody tr").length === 5 && location.hash === ""`)
	b.shot("fleet")
	s.say("gw-0", "state", "", `{"online":true,"since":"2026-11-30T12:00:00Z"}`)
	b.wait("the count to follow", `document.querySelector("#counts b").textContent === "5"`)
	b.run(chromedp.SetValue(chromedp.CSS(`input[name=where]`), `site=s1`), chromedp.Submit(chromedp.CSS(`input[name=where]`)))
	b.wait("the filter", `document.querySelectorAll("#devices tbody tr").length === 2`)
	b.follow(s)
	b.plots(s)
	b.narrow()
	b.run(chromedp.Navigate(b.base+"/devices/gw-4"), chromedp.WaitVisible(chromedp.CSS("#facts table")))
	b.wait("no script of a device to run", `document.title === "gw-4 · Ratchet"`)
	b.shot("device-hostile")
	b.clean()
}

// follow watches a job, and cancels it.
func (b *browser) follow(s *stage) {
	b.t.Helper()
	if err := s.device.Publish(b.t.Context(), dialect.Topic{To: "all", Name: "radio"}, []byte(`{"id":"radio","steps":[{"name":"one","command":{"argv":["true"]}}]}`)); err != nil {
		b.t.Fatal(err)
	}
	s.say("gw-1", "jobs", "radio", `{"state":"running","rev":2,"step":{"index":0,"of":1,"name":"one"},"steps":[{"name":"one","state":"running"}]}`)
	s.until("job", func() (there bool) {
		s.server.Watcher.View(func(f *fleet.Fleet) { there = len(f.Device("gw-1").Jobs) == 2 })
		return there
	})
	b.run(chromedp.Navigate(b.base+"/jobs/radio"), chromedp.WaitVisible(chromedp.CSS("#job_now svg")))
	s.say("gw-1", "jobs", "radio", `{"state":"succeeded","rev":3,"steps":[{"name":"one","state":"succeeded"}]}`)
	b.wait("the job to go on", `document.querySelector("#job_now .note").textContent.includes("1 succeeded")`)
	b.shot("job")
	b.run(chromedp.Click(chromedp.CSS(`form[data-what=Cancel] button`)), chromedp.WaitVisible(chromedp.CSS("#confirm")))
	b.run(chromedp.SendKeys(chromedp.CSS("#confirm-name"), "wrong"), chromedp.Click(chromedp.CSS(`#confirm button[value=yes]`)))
	b.wait("the wrong name to be refused", `document.querySelector("#said").textContent.includes("another one")`)
	b.run(chromedp.Click(chromedp.CSS(`form[data-what=Cancel] button`)), chromedp.WaitVisible(chromedp.CSS("#confirm")))
	b.run(chromedp.SendKeys(chromedp.CSS("#confirm-name"), "radio"), chromedp.Click(chromedp.CSS(`#confirm button[value=yes]`)))
	b.wait("the cancel", `document.querySelector("#said").textContent.includes("done")`)
	f, err := fleet.Read(b.t.Context(), s.device, fleet.Offers("radio"))
	if err != nil || !f.Offers("radio")["all"].Cancel {
		b.t.Errorf("the broker keeps no cancel: %v", err)
	}
}

// plots looks whether they are drawn: a canvas with more than one colour.
func (b *browser) plots(s *stage) {
	b.t.Helper()
	now := time.Now().UTC()
	for i := range 60 {
		if i > 30 && i < 40 {
			continue // it was away
		}
		at := now.Add(time.Duration(i-60) * 5 * time.Minute).Format(time.RFC3339)
		s.say("gw-1", "health", "", fmt.Sprintf(`{"time":%q,"cpu":{"percent":%d,"celsius":40},"memory":{"percent":%d},"disk":[{"percent":70}],"network":[{"rxRate":%d,"txRate":500}]}`, at, i, 40+i%7, 1000*i))
	}
	s.until("samples", func() bool {
		var h HealthReport
		s.ask("GET", "/api/v1/health?device=gw-1&span=6h", looker, "", &h)
		return len(h.Rows) >= 50
	})
	b.run(chromedp.Navigate(b.base + "/devices/gw-1"))
	b.wait("five plots", `document.querySelectorAll("#plots canvas").length === 5`)
	b.wait("lines in them", `[...document.querySelectorAll("#plots canvas")].every(c => new Set(new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer)).size > 3)`)
	b.shot("device")
}

// narrow looks at the pages as a phone does, and in the dark.
func (b *browser) narrow() {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(320, 640), func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		return none, err
	})
	for _, path := range []string{"/", "/jobs", "/jobs/wifi", "/devices/gw-1", "/alerts", "/submit"} {
		b.run(chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("main")))
		b.wait(path+" to fit", `document.documentElement.scrollWidth <= 320`)
		b.wait(path+" to be dark", `getComputedStyle(document.body).backgroundColor === "rgb(16, 21, 27)"`)
		b.shot("phone" + strings.ReplaceAll(path, "/", "-"))
	}
}
