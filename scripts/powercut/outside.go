package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	device = "roof-1"
	root   = "ratchet/v1/"
	host   = "10.0.2.2" // what a guest of qemu calls this machine
)

// The outside is what the machine talks to and what outlives its power cuts: the
// broker, and a server of files.
type outside struct {
	*record
	broker     *mqtt.Server
	brokerPort int
	filePort   int
	agents     []agent

	mu       sync.Mutex
	served   map[string][]byte // by path
	uploaded map[string][]byte
	server   *http.Server
}

// An agent is a build of ratchetd that is served for updates.
type agent struct{ version, digest string }

// newOutside listens at the addresses of a broker and of a server of files.
func newOutside(r *record, broker, files string) (*outside, error) {
	o := &outside{record: r, served: map[string][]byte{}, uploaded: map[string][]byte{}}
	o.broker = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := o.broker.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", broker)
	if err != nil {
		return nil, err
	}
	o.brokerPort = l.Addr().(*net.TCPAddr).Port
	if err := o.broker.AddListener(listeners.NewNet("tcp", l)); err != nil {
		return nil, err
	}
	hear := func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) { o.hear(p.TopicName, p.Payload) }
	for i, topic := range []string{"jobs/+", "state", "facts"} {
		if err := o.broker.Subscribe(root+"device/+/"+topic, i+1, hear); err != nil {
			return nil, err
		}
	}
	if err := o.broker.Serve(); err != nil {
		return nil, err
	}
	fl, err := net.Listen("tcp", files)
	if err != nil {
		return nil, err
	}
	o.filePort = fl.Addr().(*net.TCPAddr).Port
	o.server = &http.Server{Handler: http.HandlerFunc(o.file), ReadHeaderTimeout: time.Minute}
	go func() { _ = o.server.Serve(fl) }() // until it is closed
	return o, nil
}

func (o *outside) close() {
	_ = o.server.Close()
	_ = o.broker.Close()
}

// file gives out what is served, slowly enough to be cut, and takes uploads.
func (o *outside) file(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // the power failed
		}
		o.mu.Lock()
		o.uploaded[r.URL.Path] = text
		o.mu.Unlock()
		return
	}
	o.mu.Lock()
	text, ok := o.served[r.URL.Path]
	o.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"1"`)
	var content io.ReadSeeker = bytes.NewReader(text)
	if len(text) < 1<<20 {
		content = slow{bytes.NewReader(text)}
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// slow reads 64 KiB in some 50 ms.
type slow struct{ *bytes.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(50 * time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 64<<10)])
}

// arrived reports whether anything was uploaded to that path.
func (o *outside) arrived(path string) bool {
	_, ok := o.upload(path)
	return ok
}

// upload is what arrived under that path, and whether any did.
func (o *outside) upload(path string) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, ok := o.uploaded[path]
	return text, ok
}

func (o *outside) offer(job string, doc []byte) error {
	topic := root + "jobs/device/" + device + "/" + job
	o.add(event{What: offered, Job: job, Topic: topic, Payload: doc})
	return o.broker.Publish(topic, doc, true, 1)
}

func (o *outside) cancel(job string) error {
	topic, doc := root+"jobs/device/"+device+"/"+job, []byte(`{"id":"`+job+`","cancel":true}`)
	o.add(event{What: cancelled, Job: job, Topic: topic, Payload: doc})
	return o.broker.Publish(topic, doc, true, 1)
}

// serve serves the text under that path from now on.
func (o *outside) serve(path string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.served[path] = text
}

// url is where the machine finds that path.
func (o *outside) url(path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, o.filePort, path)
}
