package step_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a web server with faults. It counts what it sent.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	content []byte
	etag    string
	ranges  []string // of each request; "" is none
	sent    int
	fault   func(w http.ResponseWriter, r *http.Request, n int) bool // n counts requests from 1; true when it has answered
}

func newServer(t *testing.T, content []byte) *server {
	s := &server{content: content, etag: `"one"`}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	n, content, etag := len(s.ranges), s.content, s.etag
	s.mu.Unlock()
	counted := &counting{ResponseWriter: w, s: s}
	if s.fault != nil && s.fault(counted, r, n) {
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	http.ServeContent(counted, r, "", time.Time{}, strings.NewReader(string(content)))
}

// requests are the ranges that were asked for.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.ranges...)
}

func (s *server) bytesSent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

func (s *server) change(content []byte, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content, s.etag = content, etag
}

type counting struct {
	http.ResponseWriter
	s *server
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.s.mu.Lock()
	c.s.sent += n
	c.s.mu.Unlock()
	return n, err
}

// cutAfter is a fault: the connection is closed after so many bytes of the
// whole content, in every one of the first few requests.
func (s *server) cutAfter(each, requests int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > requests {
			return false
		}
		from := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.content)-1, len(s.content)))
			defer panic(http.ErrAbortHandler)
		}
		w.Header().Set("ETag", s.etag)
		w.Header().Set("Content-Length", fmt.Sprint(len(s.content)-from))
		w.WriteHeader(map[bool]int{true: http.StatusPartialContent, false: http.StatusOK}[from > 0])
		_, _ = w.Write(s.content[from:min(from+each, len(s.content))])
		w.(*counting).ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}
