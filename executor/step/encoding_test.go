package step_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packing serves content as if it were packed so, whatever was asked for.
func packing(encoding string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", encoding)
		_, _ = w.Write(content)
	}
}

// A server that packs what it sends, though nobody asked, is named for it; a file that
// lies there packed is what it is.
func TestWhatAServerPacksUnaskedIsNotInstalled(t *testing.T) {
	content := []byte("plain\n")
	packed := zipped(t, content)
	for name, tt := range map[string]struct {
		encoding, path, digest string
		want                   string // in the error; empty: it is installed
	}{
		"with a digest":                      {"gzip", "/file", steptest.Digest(content), "want " + steptest.Digest(content) + " (the server packed it unasked, Content-Encoding: gzip"},
		"by another encoding":                {"br", "/file", steptest.Digest(content), "Content-Encoding: br"},
		"without one":                        {"gzip", "/file", "", "it would not be the file (the server packed it unasked, Content-Encoding: gzip"},
		"a packed file, as Apache serves it": {"x-gzip", "/file.gz", "", ""},
		"a packed file with its digest":      {"gzip", "/file", steptest.Digest(packed), ""},
		"not packed at all":                  {"identity", "/file", "", ""},
		"as S3 notes an upload in chunks":    {"aws-chunked", "/file", "", ""},
		"a character set, by mistake":        {"UTF-8", "/file", "", ""},
		"both, behind a packer":              {"gzip,aws-chunked", "/file", "", "Content-Encoding: gzip"},
		"a packed file that came in chunks":  {"gzip, aws-chunked", "/file.gz", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(packing(tt.encoding, packed))
			defer s.Close()
			to := t.TempDir() + "/to"
			with := `{"url":%q,"sha256":%q,"to":%q}`
			if tt.digest == "" {
				with = `{"url":%q,"unverified":true%.0s,"to":%q}`
			}
			err := steptest.NewAttempt(t, with, s.URL+tt.path, tt.digest, to).Run(t.Context(), step.Download{})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				steptest.WantFile(t, to, packed)
				return
			}
			steptest.WantError(t, err, tt.want)
			if _, err := os.Stat(to); err == nil {
				t.Error("got a file, want none")
			}
		})
	}
}

func TestAShortTextIsReadAlsoWhenItCameAsGzip(t *testing.T) {
	for name, tt := range map[string]struct {
		encoding   string
		body       []byte
		text, want string
	}{
		"plain":            {"", []byte("text"), "text", ""},
		"gzip":             {"gzip", zipped(t, []byte("text")), "text", ""},
		"too much":         {"gzip", zipped(t, make([]byte, 1<<20)), "", "more than 1000 bytes"},
		"no gzip":          {"gzip", []byte("text"), "", "the server says that it is gzip, and it is not"},
		"another encoding": {"br", []byte("text"), "", "Content-Encoding: br"},
	} {
		s := httptest.NewServer(packing(tt.encoding, tt.body))
		got, err := fetch.Document(t.Context(), nil, s.URL, policy.Policy{}, 1000)
		s.Close()
		if tt.want != "" {
			steptest.WantError(t, err, tt.want)
		} else if string(got) != tt.text || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.text)
		}
	}
}
