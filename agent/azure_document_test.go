package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

func TestADocumentThatLiesElsewhereIsFetchedIfTheOwnerAllows(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "[policy]\nurls = [\"127.0.0.1\"]")
	file := filepath.Join(d.dir, "ran")
	document := text(t, doc("far", file, "a"))
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			http.Error(w, "not yet", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(s.Close)
	sum := executor.Digest(document)
	c.desire("far", map[string]any{"url": s.URL, "sha256": sum})
	c.desire("denied", map[string]any{"url": "http://localhost/x", "sha256": sum})
	c.desire("other", map[string]any{"url": s.URL, "sha256": strings.Repeat("0", 64)})
	d.start()
	c.await("far", executor.Succeeded)
	for id, want := range map[string]string{"denied": "policy.urls", "other": "sha256"} {
		if got := c.await(id, executor.Rejected); !strings.Contains(fmt.Sprint(got["reason"]), want) {
			t.Errorf("%s: got %v, want %s", id, got, want)
		}
	}
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
	}
}

func TestAnAddressThatIsMendedIsFetchedAtOnce(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "[policy]\nurls = [\"127.0.0.1\"]")
	file := filepath.Join(d.dir, "ran")
	document := text(t, doc("far", file, "a"))
	missing := make(chan bool, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/right" {
			missing <- true
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(s.Close)
	c.desire("far", map[string]any{"url": s.URL + "/wrong", "sha256": executor.Digest(document)})
	c.desire("denied", map[string]any{"url": "http://localhost/right", "sha256": executor.Digest(document)})
	d.start()
	<-missing
	c.await("denied", executor.Rejected)
	c.desire("far", map[string]any{"url": s.URL + "/right"})
	c.await("far", executor.Succeeded)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
	}
}
