package steptest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a web server with faults. It counts what it sent.
type Server struct {
	*httptest.Server
	mu      sync.Mutex
	Content []byte
	ETag    string
	ranges  []string // of each request; "" is none
	sent    int
	Fault   func(w http.ResponseWriter, r *http.Request, n int) bool // n counts requests from 1; true when it has answered
}

// NewServer serves content until the test ends.
func NewServer(t *testing.T, content []byte) *Server {
	s := &Server{Content: content, ETag: `"one"`}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	n, content, etag := len(s.ranges), s.Content, s.ETag
	s.mu.Unlock()
	counted := &Counting{ResponseWriter: w, s: s}
	if s.Fault != nil && s.Fault(counted, r, n) {
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	http.ServeContent(counted, r, "", time.Time{}, strings.NewReader(string(content)))
}

// Requests are the ranges that were asked for.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.ranges...)
}

// BytesSent is how many bytes of content were sent.
func (s *Server) BytesSent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// Change puts another content in the place of the old one.
func (s *Server) Change(content []byte, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Content, s.ETag = content, etag
}

// Counting is an answer that is counted.
type Counting struct {
	http.ResponseWriter
	s *Server
}

// Write implements http.ResponseWriter.
func (c *Counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.s.mu.Lock()
	c.s.sent += n
	c.s.mu.Unlock()
	return n, err
}

// CutAfter is a fault: the connection is closed after so many bytes of the
// whole content, in every one of the first few requests.
func (s *Server) CutAfter(each, requests int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > requests {
			return false
		}
		from := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.Content)-1, len(s.Content)))
			defer panic(http.ErrAbortHandler)
		}
		w.Header().Set("ETag", s.ETag)
		w.Header().Set("Content-Length", fmt.Sprint(len(s.Content)-from))
		w.WriteHeader(map[bool]int{true: http.StatusPartialContent, false: http.StatusOK}[from > 0])
		_, _ = w.Write(s.Content[from:min(from+each, len(s.Content))])
		w.(*Counting).ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}
