package serve

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/executor/fence"
)

const (
	mostStreams = 500                    // tabs at a time
	updateEvery = 500 * time.Millisecond // at most so often
	pingEvery   = 15 * time.Second
	sendTime    = 10 * time.Second // for one update; who is slower is dropped, and comes again
)

// A stream is one tab that follows a page.
type stream struct {
	w    http.ResponseWriter
	to   *http.ResponseController
	sent map[string][sha256.Size]byte // sections
}

// events sends those sections of a page that have changed, for as long as somebody
// looks at it.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	at, err := url.Parse(r.FormValue("path"))
	if err != nil {
		http.Error(w, "path: want a page's", http.StatusBadRequest)
		return
	}
	if _, _, ok := find(at.Path); !ok || guard.Who(r.Context()).Role == guard.Nobody {
		http.Error(w, "path: want a page's", http.StatusNotFound)
		return
	}
	if s.streams.Add(1) > mostStreams {
		s.streams.Add(-1)
		http.Error(w, fmt.Sprintf("more than %d tabs are open: close some", mostStreams), http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	t := stream{w, http.NewResponseController(w), map[string][sha256.Size]byte{}}
	_ = t.to.SetReadDeadline(time.Time{}) // it goes on for longer than a request
	for {
		changed, begun := s.Watcher.Changed(), time.Now()
		if err := fence.Call(func() error { return s.update(&t, r, at) }); err != nil {
			return // the tab asks again
		}
		if !pause(r, max(updateEvery, patience*time.Since(begun))) {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-time.After(pingEvery):
				if t.write(": ping\n\n") != nil {
					return
				}
			case <-r.Context().Done():
				return
			}
		}
	}
}

// pause reports whether somebody is still there after it.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// update sends what has changed since the last time.
func (s *Server) update(t *stream, r *http.Request, at *url.URL) error {
	asked := r.Clone(r.Context())
	asked.URL, asked.Form, asked.PostForm = at, nil, nil
	p, v, err := s.look(asked)
	if err != nil {
		return err
	}
	for _, name := range append([]string{"status"}, p.sections...) {
		text, err := s.execute(name, v)
		if err != nil {
			return err
		}
		digest := sha256.Sum256([]byte(text))
		if t.sent[name] == digest {
			continue
		}
		t.sent[name] = digest
		news, err := json.Marshal(map[string]string{"id": name, "html": text})
		if err == nil {
			err = t.write("event: section\ndata: " + string(news) + "\n\n")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *stream) write(text string) error {
	_ = t.to.SetWriteDeadline(time.Now().Add(sendTime)) // where there is none, the write says so
	if _, err := t.w.Write([]byte(text)); err != nil {
		return err
	}
	return t.to.Flush()
}
