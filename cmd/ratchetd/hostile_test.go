package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A hostile broker says what it likes to the one device that comes, and counts
// what was acknowledged.
type hostile struct {
	net.Conn
	statuses map[string]string // by job
	acked    int
	heard    chan packets.ControlPacket
}

// welcome lets the device in and answers its greeting.
func welcome(l net.Listener) (*hostile, error) {
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	h := &hostile{Conn: conn, statuses: map[string]string{}, heard: make(chan packets.ControlPacket, 1024)}
	go func() {
		defer close(h.heard)
		for {
			p, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			h.heard <- p
		}
	}()
	return h, nil
}

// listen answers what the device says until it has been silent for d, or until
// enough.
func (h *hostile) listen(d time.Duration, enough func() bool) error {
	for !enough() {
		select {
		case p, ok := <-h.heard:
			if !ok {
				return fmt.Errorf("the device left after %d acknowledgements", h.acked)
			}
			if err := h.answer(p); err != nil {
				return err
			}
		case <-time.After(d):
			return nil
		}
	}
	return nil
}

func (h *hostile) answer(p packets.ControlPacket) error {
	var reply packets.ControlPacket
	switch p := p.(type) {
	case *packets.ConnectPacket:
		reply = packets.NewControlPacket(packets.Connack)
	case *packets.SubscribePacket:
		ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		ack.MessageID, ack.ReturnCodes = p.MessageID, p.Qoss
		reply = ack
	case *packets.UnsubscribePacket:
		ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
		ack.MessageID = p.MessageID
		reply = ack
	case *packets.PublishPacket:
		if _, id, ok := strings.Cut(p.TopicName, "/device/gw-1/jobs/"); ok {
			h.statuses[id] = string(p.Payload)
		}
		if strings.HasSuffix(p.TopicName, "/state") { // a device that does not hear itself would connect again
			echo := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			echo.TopicName, echo.Payload = p.TopicName, p.Payload
			if err := echo.Write(h); err != nil {
				return err
			}
		}
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = p.MessageID
		reply = ack
	case *packets.PingreqPacket:
		reply = packets.NewControlPacket(packets.Pingresp)
	case *packets.PubackPacket:
		h.acked++
		return nil
	default:
		return nil
	}
	return reply.Write(h)
}

func (h *hostile) say(n int, topic, payload string) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = 1, uint16(n%65535+1), "ratchet/v1/"+topic, []byte(payload)
	return p.Write(h)
}

// TestE2EGarbageCostsNothing lets a broker send 100,000 messages that are no
// jobs, or that nobody signed. They may write nothing and fill no memory.
func TestE2EGarbageCostsNothing(t *testing.T) {
	if !thorough() {
		t.Skip("set RATCHET_E2E=1, as make e2e does")
	}
	const n = 100_000
	s, err := newSite(t.TempDir(), nil, "ratchetd")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", s.broker.device)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := s.launch("gw-1")
	if err != nil {
		t.Fatal(err)
	}
	defer d.kill()
	h, err := welcome(l)
	if err == nil {
		err = h.listen(5*time.Second, func() bool { return false })
	}
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(s.state("gw-1"), "ratchet.db")
	before, rss := digestOf(t, journal), peak(t, d.cmd.Process.Pid)
	kinds := []string{"{", "null", `{"id":"ID"}`, strings.Repeat("[", 5000), `{"job":"{}","signature":"x"}`, "\xff\xfe", `{"id":"ID","steps":[]}`,
		`{"job":"{\"id\":\"ID\"}","signature":"untrusted comment: x\nRUQ\ntrusted comment: y\nz\n"}`, strings.Repeat("x", 20_000)}
	began := time.Now()
	for i := range n {
		id := fmt.Sprintf("g%d", i)
		err := h.say(i, "jobs/all/"+id, strings.ReplaceAll(kinds[i%len(kinds)], "ID", id))
		if err == nil && i-h.acked > 1000 {
			err = h.listen(patience, func() bool { return i-h.acked < 500 })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := h.listen(patience, func() bool { return h.acked == n }); err != nil || h.acked != n {
		t.Fatalf("%d of %d messages were acknowledged: %v", h.acked, n, err)
	}
	took := time.Since(began)
	if digestOf(t, journal) != before {
		t.Error("the journal was written")
	}
	grown := peak(t, d.cmd.Process.Pid) - rss
	if err := h.say(n, "jobs/all/good", `{"id":"good","steps":[{"name":"s","command":{"argv":["true"]}}]}`); err != nil {
		t.Fatal(err)
	}
	if err := h.listen(patience, func() bool { return strings.Contains(h.statuses["good"], "succeeded") }); err != nil || !strings.Contains(h.statuses["good"], "succeeded") {
		t.Errorf("the good job: got %s (%v)", h.statuses["good"], err)
	}
	t.Logf("%d messages in %s: the journal is the same; the highest resident set was %d kB before and %d kB after", n, took.Round(time.Second), rss, rss+grown)
	if grown > 16<<10 {
		t.Errorf("the highest resident set grew by %d kB", grown)
	}
}

func digestOf(t *testing.T, file string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// peak is the largest resident set that a process had, in kB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmHWM:" {
			kB, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kB
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
