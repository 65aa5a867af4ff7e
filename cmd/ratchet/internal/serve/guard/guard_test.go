package guard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	looker = "viewer-token-0123456789"
	chief  = "admin-token-01234567890"
)

func guarded(t *testing.T) (*Guard, http.Handler) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("# who may what\nadmin anna "+chief+"\nviewer board "+looker+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(file, "nobody")
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{Tokens: tokens, Names: []string{"fleet.example.com"}, Port: "7788", Open: func(path string) bool { return path == "/open" }}
	return g, g.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		io.WriteString(w, Who(r.Context()).Name)
	}))
}

func TestRequestsThatMayNotBeAnswered(t *testing.T) {
	for _, c := range []struct {
		name, method, path, host string
		headers                  map[string]string
		body                     string
		want                     int
	}{
		{name: "with a token", want: 200, headers: map[string]string{"Authorization": "Bearer " + chief}},
		{name: "by another name that it has", host: "fleet.example.com", want: 200, headers: map[string]string{"Authorization": "Bearer " + chief}},
		{name: "open to all", path: "/open", want: 200},
		{name: "without a token", want: 401},
		{name: "with a wrong token", want: 401, headers: map[string]string{"Authorization": "Bearer x"}},
		{name: "a foreign name that leads here", host: "evil.example.com:7788", want: 421, headers: map[string]string{"Cookie": "ratchet-7788=" + chief}},
		{name: "a foreign name, open to all", path: "/open", host: "evil.example.com:7788", want: 421},
		{name: "another port of this host", host: "127.0.0.1:80", want: 421},
		{name: "a form of another site", method: "POST", want: 403, headers: map[string]string{"Cookie": "ratchet-7788=" + chief, "Sec-Fetch-Site": "cross-site"}},
		{name: "a form of another origin in an old browser", method: "POST", want: 403, headers: map[string]string{"Cookie": "ratchet-7788=" + chief, "Origin": "http://127.0.0.1:1"}},
		{name: "of this page", method: "POST", want: 200, headers: map[string]string{"Cookie": "ratchet-7788=" + chief, "Sec-Fetch-Site": "same-origin"}},
		{name: "a body without end", method: "POST", want: 413, headers: map[string]string{"Authorization": "Bearer " + chief}, body: strings.Repeat("x", MaxBody+1)},
	} {
		_, h := guarded(t)
		r := httptest.NewRequest(max(c.method, "GET"), "http://127.0.0.1:7788"+max(c.path, "/"), strings.NewReader(c.body))
		if c.host != "" {
			r.Host = c.host
		}
		for name, value := range c.headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", c.name, got)
		}
	}
}

func login(h http.Handler, token string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "http://127.0.0.1:7788/login", strings.NewReader(token)))
	return w
}

func TestATokenBecomesACookieThatNoScriptReads(t *testing.T) {
	_, h := guarded(t)
	w := login(h, looker)
	cookies := w.Result().Cookies()
	if w.Code != 204 || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("got %d and %v", w.Code, cookies)
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1:7788/", nil)
	r.AddCookie(cookies[0])
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.String() != "board" {
		t.Errorf("got %q, want the viewer's name", w.Body)
	}
}

func TestWrongTokensAreNotTriedWithoutEnd(t *testing.T) {
	_, h := guarded(t)
	for range wrongTries {
		if w := login(h, "wrong"); w.Code != 401 {
			t.Fatalf("got %d", w.Code)
		}
	}
	if w := login(h, "wrong"); w.Code != 429 {
		t.Errorf("got %d after %d wrong ones, want 429", w.Code, wrongTries)
	}
	if w := login(h, chief); w.Code != 204 {
		t.Errorf("got %d for the right one: whoever guesses must not lock others out", w.Code)
	}
}

func TestAFileOfTokensIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	one, err := ReadTokens(file, "anna@desk")
	if err != nil {
		t.Fatal(err)
	}
	two, err := ReadTokens(file, "bert@desk")
	if err != nil || two.First() != one.First() || two.Who(one.First()) != (Person{"anna@desk", Admin}) {
		t.Errorf("got %+v and %v", two, err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for text, want := range map[string]string{"boss anna " + chief: "line 1", "admin anna short": "line 1", "# nothing": "no token"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTokens(file, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
