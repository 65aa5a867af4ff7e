package serve

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// Every file that others made is the one that the list names, with its licence.
func TestVendoredFilesAreThoseOfTheList(t *testing.T) {
	text, err := os.ReadFile("assets/vendor/LIST")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"LIST": true}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(words) != 6 || words[3] != "MIT" || !strings.HasPrefix(words[4], "https://") {
			t.Fatalf("want file, name, version, licence, source and sha256: %s", line)
		}
		listed[words[0]] = true
		file, err := os.ReadFile("assets/vendor/" + words[0])
		if digest := sha256.Sum256(file); err != nil || hex.EncodeToString(digest[:]) != words[5] {
			t.Errorf("%s is another file: %v", words[0], err)
		}
	}
	files, err := os.ReadDir("assets/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not in the list", f.Name())
		}
	}
}

// get asks for a page.
func (s *stage) get(path, token string) (int, string, http.Header) {
	s.t.Helper()
	r := httptest.NewRequest("GET", "http://127.0.0.1:7788"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

func TestEveryPageIsShownAndSaysNothingToWhoeverIsNotKnown(t *testing.T) {
	s := staged(t, fewDevices)
	for path, want := range map[string]string{
		"/": "no space left", "/?where=site%3Ds1": "gw-3", "/?where=.a%20==": "where:", "/jobs": "wifi", "/jobs/wifi": "step one: no space left", "/devices/gw-1": "critical",
		"/rollouts": "No rollout", "/alerts": "disk", "/actions": "Nothing was done", "/submit": "textarea",
	} {
		code, text, _ := s.get(path, chief)
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d without %q:\n%s", path, code, want, text)
		}
		if code, text, _ := s.get(path, ""); code != 401 || strings.Contains(text, "gw-") || !strings.Contains(text, "ratchet serve") {
			t.Errorf("%s without a token: %d\n%s", path, code, text)
		}
	}
	for path, want := range map[string]int{"/nothing": 404, "/devices/none": 404, "/jobs/none": 404, "/assets/none.js": 404, "/events?path=/nothing": 404} {
		if code, _, _ := s.get(path, chief); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	for _, path := range []string{"/events?path=/", "/metrics", "/api/v1/devices", "/nothing"} {
		if code, text, _ := s.get(path, ""); code != 401 && code != 404 || strings.Contains(text, "gw-") {
			t.Errorf("%s without a token: %d", path, code)
		}
	}
}

func TestAViewerSeesNoFormThatActs(t *testing.T) {
	s := staged(t, fewDevices)
	if _, text, _ := s.get("/jobs/wifi", looker); strings.Contains(text, "data-what") {
		t.Error("a viewer is shown the cancel")
	}
	if _, text, _ := s.get("/jobs/wifi", chief); !strings.Contains(text, `data-what="Cancel"`) {
		t.Error("an admin is not")
	}
}

func TestWhatDevicesSayIsTextOnThePage(t *testing.T) {
	const script = `<script>alert(1)</script>`
	s := staged(t, func(s *stage) {
		s.say("gw-1", "facts", "", `{"agent":"`+script+`","tags":{"a":"`+script+`"},"`+script+`":1}`)
		s.say("gw-1", "state", "", `{"online":true,"agent":"`+script+`"}`)
		s.say("gw-1", "alerts", "disk", `{"state":"raised","severity":"`+script+`","rule":"`+script+`","value":"`+script+`"}`)
		s.say("gw-1", "jobs", "wifi", `{"state":"failed","rev":1,"reason":"`+script+`","steps":[{"name":"`+script+`","state":"`+script+`","output":"`+script+`"}]}`)
	})
	for _, path := range []string{"/", "/devices/gw-1", "/jobs/wifi", "/alerts", "/?where=%3Cscript%3Ealert(1)%3C/script%3E"} {
		code, text, _ := s.get(path, chief)
		if code != 200 || strings.Contains(text, script) || !strings.Contains(text, "alert(1)") {
			t.Errorf("%s: %d\n%s", path, code, text)
		}
	}
}

func TestAssetsMayBeKeptForEverAndComeZipped(t *testing.T) {
	s := staged(t, fewDevices)
	_, text, _ := s.get("/devices/gw-1", chief)
	found := 0
	for _, piece := range strings.Split(text, `"`) {
		if !strings.HasPrefix(piece, assetRoot) {
			continue
		}
		found++
		code, _, h := s.get(piece, "")
		if code != 200 || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", piece, code, h)
		}
	}
	if found != 4 {
		t.Errorf("%d assets, want the page's and the plots' styles and scripts", found)
	}
}

func TestTheStreamSendsWhatChangesAndEndsWithItsTab(t *testing.T) {
	s := staged(t, fewDevices)
	web := httptest.NewServer(s.handler)
	defer web.Close()
	s.server.Guard.Names = []string{"127.0.0.1"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", web.URL+"/events?path=/devices/gw-0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+looker)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	await := func(what string) {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(lines.Text(), what) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", what, lines.Err())
	}
	await("offline")
	s.say("gw-0", "state", "", `{"online":true,"since":"2026-11-30T12:00:00Z","agent":"v9"}`)
	await("v9")
	if got := s.server.streams.Load(); got != 1 {
		t.Errorf("%d streams", got)
	}
	cancel()
	s.say("gw-0", "state", "", `{"online":false}`)
	for late := time.Now().Add(time.Minute); s.server.streams.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the stream goes on without its tab")
		}
	}
}
