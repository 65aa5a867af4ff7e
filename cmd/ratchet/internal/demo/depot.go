package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// A depot serves one file over HTTP and counts who asked for it.
type depot struct {
	url, sha256 string
	server      *http.Server
	file        []byte
	mu          sync.Mutex
	asked       map[string]int // by path
}

func startDepot(size int) (*depot, error) {
	d := &depot{file: make([]byte, size), asked: map[string]int{}}
	_, _ = rand.NewChaCha8([32]byte{}).Read(d.file)
	sum := sha256.Sum256(d.file)
	d.sha256 = hex.EncodeToString(sum[:])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the file server: %w", err)
	}
	d.url = "http://" + l.Addr().String()
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = d.server.Serve(l) }() // it ends with stop; a broken one shows as failed downloads
	return d, nil
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	if r.Method == http.MethodGet {
		d.asked[r.URL.Path]++
	}
	d.mu.Unlock()
	http.ServeContent(w, r, "app.bin", time.Time{}, bytes.NewReader(d.file))
}

func (d *depot) times(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[path]
}

func (d *depot) stop() { _ = d.server.Close() }
