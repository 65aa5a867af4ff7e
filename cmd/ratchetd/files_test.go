package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A fileServer has one file and notes what it sends of it. It sends slowly, so
// that what it has sent is not merely on its way.
type fileServer struct {
	*httptest.Server
	file   []byte
	rate   int // bytes per second
	mu     sync.Mutex
	sent   int
	ranges int // requests for a part
}

func newFileServer(size, rate int) *fileServer {
	file := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(file)
	return serveFile(file, rate)
}

func serveFile(file []byte, rate int) *fileServer {
	f := &fileServer{file: file, rate: rate}
	f.Server = httptest.NewServer(f)
	return f
}

func (f *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Range") != "" {
		f.mu.Lock()
		f.ranges++
		f.mu.Unlock()
	}
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(counting{w, f}, r, "file", time.Time{}, bytes.NewReader(f.file))
}

type counting struct {
	http.ResponseWriter
	f *fileServer
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	time.Sleep(time.Duration(n) * time.Second / time.Duration(c.f.rate))
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.sent += n
	return n, err
}

func cmdHTTP(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[0])
	ts.Check(err)
	rate, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, s := newFileServer(size, rate), siteOf(ts)
	s.serve(f)
	ts.Setenv("SHA", s.vars["SHA"])
}

// serve makes a server the one that ${HTTP} and ${SHA} tell of.
func (s *site) serve(f *fileServer) {
	sum := sha256.Sum256(f.file)
	s.vars["HTTP"], s.vars["SHA"] = f.URL, hex.EncodeToString(sum[:])
	s.closers = append(s.closers, func() error {
		f.CloseClientConnections()
		f.Close()
		return nil
	})
	s.files = f
}

func cmdSent(ts *testscript.TestScript, _ bool, args []string) {
	f := siteOf(ts).files
	f.mu.Lock()
	defer f.mu.Unlock()
	least, err := strconv.Atoi(args[0])
	ts.Check(err)
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Logf("sent %d bytes of %d, with %d range requests", f.sent, len(f.file), f.ranges)
	if f.sent < least || f.sent > most || strconv.Itoa(f.ranges) != args[2] {
		ts.Fatalf("sent %d bytes with %d range requests, want %d to %d with %s", f.sent, f.ranges, least, most, args[2])
	}
}
