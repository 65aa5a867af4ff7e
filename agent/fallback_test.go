package agent

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// fallsBack has the device know another broker to fall back to.
func (d *device) fallsBack(first, second string) {
	d.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\nbroker = \"tcp://%s\"\nspread = \"0s\"\nfallback = [\"mqtt://%s\"]\n",
		filepath.Join(d.dir, "state"), first, second))
}

// Where a broker does not answer the next one is tried, and a job goes on there; when
// a session ends the first is tried again.
func TestADeviceFallsBackToAnotherBroker(t *testing.T) {
	one, two := newBroker(t), newBrokerBeside(t)
	d := newDevice(t, one, "")
	d.fallsBack(one.addr, two.addr)
	d.start().online(one)
	begin, file := filepath.Join(d.dir, "begin"), filepath.Join(d.dir, "ran")
	one.offer("device/gw-1", script("j1", "until test -e "+begin+"; do sleep 0.05; done; echo a >>"+file))
	one.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	one.stop() // in the midst of it
	d.online(two)
	if got := d.status().Link.Broker; got != "tcp://"+two.addr {
		t.Errorf("status says %s, want the broker that it is connected to", got)
	}
	d.write("begin", "")
	wantState(t, two.final("j1"), executor.Succeeded)
	one.start()
	one.forget()
	two.stop()
	d.online(one)
	one.offer("device/gw-1", doc("j2", file, "b"))
	wantState(t, one.final("j2"), executor.Succeeded)
	if got := read(t, file); got != "a b" {
		t.Errorf("ran %q, want a b", got)
	}
}

// What conf.d names gets no secret that the owner did not give for it, so other
// brokers stand in ratchet.toml, and none are tried for one that conf.d names.
func TestOnlyTheOwnerNamesFallbacks(t *testing.T) {
	const main = "device = \"gw-1\"\n[link]\nbroker = \"tls://one:8883\"\nfallback = [\"mqtts://two:8883\"]\n"
	dir := configDir(t, map[string]string{"ratchet.toml": main, "conf.d/x.toml": "[link]\nfallback = [\"tls://three:8883\"]\n"})
	if _, err := config.Load(filepath.Join(dir, "ratchet.toml")); err == nil || !strings.Contains(err.Error(), "x.toml: link.fallback: it may stand in ratchet.toml only") {
		t.Errorf("fallback in conf.d: got %v", err)
	}
	for _, c := range []struct{ part, want string }{
		{"", "tls://one:8883 tls://two:8883"},
		{"[link]\nbroker = \"tls://other:8883\"\n", "tls://other:8883"},
	} {
		dir := configDir(t, map[string]string{"ratchet.toml": main, "conf.d/x.toml": c.part})
		got, err := config.Load(filepath.Join(dir, "ratchet.toml"))
		if err != nil {
			t.Fatal(err)
		}
		if brokers := strings.Join(got.Brokers(), " "); brokers != c.want {
			t.Errorf("with %q: got %s, want %s", c.part, brokers, c.want)
		}
	}
	for link, want := range map[string]string{
		`fallback = ["two:8883"]`: `link.fallback: "two:8883": want an address`,
		`keepAlive = "1s"`:        "link.keepAlive: want 5s to 18h12m15s",
	} {
		dir := configDir(t, map[string]string{"ratchet.toml": minimal + link + "\n"})
		if _, err := config.Load(filepath.Join(dir, "ratchet.toml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", link, err, want)
		}
	}
}

// A broker that allows only a shorter keep-alive refuses with a bare code, which
// MQTT has for ids: the device says what to try, and with that it is let in.
func TestARefusedKeepAliveSaysWhatToTry(t *testing.T) {
	b := newBroker(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go allowKeepAlive(l, b.addr, 30)
	b.addr = l.Addr().String()
	d := newDevice(t, b, "").start()
	await(t, "the reason", func() bool {
		why := d.link.Status().Err
		return strings.Contains(why, "try a lower link.keepAlive") && strings.Contains(why, "1m0s")
	})
	d.stop()
	d.write("conf.d/k.toml", "[link]\nkeepAlive = \"30s\"\n")
	d.start().online(b)
}

// allowKeepAlive passes on connections to a broker, but refuses those whose
// keep-alive is longer than so many seconds, as mosquitto's max_keepalive does.
func allowKeepAlive(l net.Listener, to string, most int) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			first := make([]byte, 1024)
			n, err := c.Read(first) // a CONNECT comes in one piece here
			if err != nil || n < 12 {
				return
			}
			if int(first[10])<<8|int(first[11]) > most {
				_, _ = c.Write([]byte{0x20, 2, 0, 2})
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer up.Close()
			if _, err := up.Write(first[:n]); err != nil {
				return
			}
			go func() { _, _ = up.(*net.TCPConn).ReadFrom(c); up.Close() }()
			_, _ = c.(*net.TCPConn).ReadFrom(up)
		}()
	}
}
