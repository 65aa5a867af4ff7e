package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	day        = 24 * time.Hour
	sampled    = 30 * time.Second // the defaults of ratchetd
	published  = 5 * time.Minute
	telegrafAt = 10 * time.Second // telegraf's default
	keepAlives = 1440
	keepAlive  = 2 * (2 + 22) // bytes: PINGREQ and PINGRESP, each in a record of TLS 1.3
)

// felt is what health cost a daemon that sampled once a second.
type felt struct {
	usage
	samples int
	wire    int64
	text    []byte // the last sample
	said    int    // samples that were sent
	bytes   int    // their text
}

// measureHealth runs a daemon that samples every second, with and without
// sending, and reckons a day of the defaults from that.
func (b *bench) measureHealth(ctx context.Context) error {
	fmt.Print("Health: a day by the defaults, reckoned from samples and messages of one a second\n\n")
	silent, err := b.feel(ctx, "silent", "1h")
	if err != nil {
		return err
	}
	told, err := b.feel(ctx, "told", "1s")
	if err != nil {
		return err
	}
	if told.said == 0 || silent.samples == 0 {
		return fmt.Errorf("only %d samples came", told.said)
	}
	sample := silent.cpu / time.Duration(silent.samples)
	message := told.cpu/time.Duration(told.samples) - sample
	row := func(name string, every time.Duration) []string {
		n := int(day / every)
		wire := n*int(told.wire)/told.said + keepAlives*keepAlive
		cpu := time.Duration(day/sampled)*sample + time.Duration(n)*message
		return []string{name, fmt.Sprint(n), kilo(n * told.bytes / told.said), kilo(wire), fmt.Sprint(cpu.Milliseconds()), kilo(int(told.written))}
	}
	t := table{{"a day of", "messages", "kB of text", "kB on the wire", "CPU ms", "kB to flash"},
		row("ratchetd, sampled every 30 s, sent every 5 min", published),
		row("ratchetd, every sample sent", sampled)}
	t = append(t, b.offline(told.text), telegrafLike(told.text), b.nodeExporter(ctx, false), b.nodeExporter(ctx, true))
	t.print()
	fmt.Printf("One sample: %d us of CPU and %d bytes; one message: %d us and %d bytes with TLS and its acknowledgement.\n", sample.Microseconds(), told.bytes/told.said, message.Microseconds(), told.wire/int64(told.said))
	fmt.Printf("On the wire of ratchetd: TLS 1.3, with %d keep-alives of %d bytes a day. Of the others: the text with gzip, without TLS.\n\n", keepAlives, keepAlive)
	return nil
}

// feel watches a daemon that samples every second for as long as an idle one.
func (b *bench) feel(ctx context.Context, device, publish string) (felt, error) {
	link, err := startRelay(b.broker.addr)
	if err != nil {
		return felt{}, err
	}
	defer link.Close()
	d, err := b.configure(device, filepath.Join(b.dir, device, "state"))
	if err != nil {
		return felt{}, err
	}
	text, err := os.ReadFile(d.config)
	if err != nil {
		return felt{}, err
	}
	changed := strings.NewReplacer(b.broker.addr, link.Addr().String(), `"30s"`, `"1s"`, `"1m"`, `"`+publish+`"`).Replace(string(text))
	if err := os.WriteFile(d.config, []byte(changed), 0o600); err != nil {
		return felt{}, err
	}
	var f felt
	var mu sync.Mutex
	err = b.broker.Subscribe("ratchet/v1/device/"+device+"/health", 2, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		mu.Lock()
		defer mu.Unlock()
		f.text, f.said, f.bytes = p.Payload, f.said+1, f.bytes+len(p.Payload)
	})
	if err != nil {
		return felt{}, err
	}
	if err := d.ready(ctx); err != nil {
		return felt{}, err
	}
	defer d.end(syscall.SIGTERM)
	if err := sleep(ctx, 10*time.Second); err != nil {
		return felt{}, err
	}
	mu.Lock()
	f.said, f.bytes = 0, 0
	mu.Unlock()
	before, err := readUsage(d.cmd.Process.Pid)
	wire := link.bytes.Load()
	if err == nil {
		err = sleep(ctx, b.idle)
	}
	if err != nil {
		return felt{}, err
	}
	f.usage, err = readUsage(d.cmd.Process.Pid)
	mu.Lock()
	defer mu.Unlock()
	f.cpu, f.written = f.cpu-before.cpu, f.written-before.written
	f.wire, f.samples = link.bytes.Load()-wire, int(b.idle/time.Second)
	return f, err
}

func kilo(bytes int) string { return fmt.Sprintf("%.0f", float64(bytes)/1000) }
