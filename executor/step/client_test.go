package step_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

func TestASecretHeaderStaysWithItsHost(t *testing.T) {
	content := steptest.Pattern(10)
	var other http.Header
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other = r.Header
		_, _ = w.Write(content)
	}))
	defer elsewhere.Close()
	s := steptest.NewServer(t, content)
	var first http.Header
	s.Fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		first = r.Header.Clone()
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		return true
	}
	a, to := fetching(t, s, `,"headers":{"X-Api-Key":"secret"}`)
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, content)
	if got := first.Get("X-Api-Key"); got != "secret" {
		t.Errorf("got header %q at the job's host, want the secret", got)
	}
	if got := other.Get("X-Api-Key") + other.Get("Referer"); got != "" {
		t.Errorf("got %q at the other host, want nothing", got)
	}
}

// Before the device has filled a header in, its name is judged; after, its text.
func TestAHeaderMayBeASecret(t *testing.T) {
	for _, c := range []struct{ headers, want string }{
		{`{"Authorization":{"secret":"token"}}`, ""},
		{`{"X-Device":{"jq":".facts.device"}}`, ""},
		{`{"Host":{"secret":"token"}}`, "the agent sets this one itself"},
		{`{"X-Token":{"secret":"../token"}}`, "secret: "},
		{`{"X-Token":"two\r\nlines"}`, "no HTTP header"},
	} {
		for with, kind := range map[string]executor.Kind{
			`"to":"/a","sha256":"` + steptest.Digest(nil) + `"`: step.Download{},
			`"paths":["/a"]`: upload.Kind{},
		} {
			err := kind.Check([]byte(`{"url":"http://h/",` + with + `,"headers":` + c.headers + `}`))
			if c.want == "" && err != nil {
				t.Errorf("%T %s: got %v, want nothing", kind, c.headers, err)
			} else if c.want != "" {
				steptest.WantError(t, err, c.want)
			}
		}
	}
}

// What a URL holds of a user, a password and a query is in no report.
func TestTheCredentialsOfAURLAreMasked(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(10))
	s.Fault = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	address := strings.Replace(s.URL, "http://", "http://user:hunter2@", 1) + "/f?X-Amz-Signature=hunter2"
	a, _ := fetching(t, s, "")
	a.With = json.RawMessage(strings.Replace(string(a.With), s.URL, address, 1))
	err := a.Run(t.Context(), step.Download{})
	steptest.WantError(t, err, "403")
	if said := err.Error() + a.Out.String() + a.ErrOut.String(); strings.Contains(said, "hunter2") {
		t.Errorf("got %q, want no credentials in it", said)
	}
}

func TestARedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	plain := steptest.NewServer(t, steptest.Pattern(10))
	tls := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer tls.Close()
	a, to := fetching(t, plain, "")
	a.With = json.RawMessage(fmt.Sprintf(`{"url":%q,"sha256":%q,"to":%q}`, tls.URL, steptest.Digest(plain.Content), to))
	steptest.WantError(t, a.Run(t.Context(), step.Download{Client: tls.Client()}), "redirect from https to http: refused")
	if got := plain.Requests(); len(got) > 0 {
		t.Errorf("got requests %q, want none", got)
	}
	steptest.WantError(t, a.Run(t.Context(), step.Download{}), "certificate")
}

// TestAProxyOfTheEnvironmentIsUsed runs in a process of its own: the
// environment is read once.
func TestAProxyOfTheEnvironmentIsUsed(t *testing.T) {
	const asAgent = "STEP_TEST_PROXIED"
	s := steptest.NewServer(t, steptest.Pattern(10))
	if os.Getenv(asAgent) != "" {
		a, _ := fetching(t, s, "")
		a.With = json.RawMessage(strings.Replace(string(a.With), s.URL, "http://far.example", 1))
		fmt.Println("it ended with:", a.Run(t.Context(), step.Download{}))
		return
	}
	agent := exec.Command(os.Args[0], "-test.run=^TestAProxyOfTheEnvironmentIsUsed$")
	agent.Env = append(os.Environ(), asAgent+"=1", "HTTP_PROXY="+s.URL)
	out, err := agent.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "it ended with: <nil>") {
		t.Errorf("got %q, %v, want success", out, err)
	}
	if got := s.Requests(); len(got) != 1 {
		t.Errorf("got requests %q at the proxy, want one", got)
	}
}
