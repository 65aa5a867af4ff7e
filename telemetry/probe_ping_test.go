package telemetry

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestPingOfThisHostIsAnswered(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		got, err := Prober{}.Ping(t.Context(), host)
		if errors.As(err, new(Unknown)) || host == "::1" && err != nil {
			t.Skipf("%s: %v", host, err)
		}
		if err != nil || got.Value == nil || got.Unit != "ms" || !strings.HasSuffix(got.Detail, "0 of 3 lost") {
			t.Errorf("%s: got %+v, %v, want milliseconds and 0 of 3 lost", host, got, err)
		}
	}
}

// The families are tried in turn, each beside those before it that are silent.
func TestPingAsksEachAddressUntilOneAnswers(t *testing.T) {
	addr := netip.MustParseAddr
	six, four, other := addr("2001:db8::1"), addr("192.0.2.1"), addr("192.0.2.2")
	if got := inTurn([]netip.Addr{six, addr("2001:db8::2"), four, other}); !slices.Equal(got, []netip.Addr{six, four, addr("2001:db8::2"), other}) {
		t.Errorf("got %v", got)
	}
	dead, unknown := errors.New("no route to host"), Unknown{"no right to send"}
	for _, c := range []struct {
		says map[netip.Addr]error
		want string
	}{
		{map[netip.Addr]error{six: dead, four: nil}, ""},
		{map[netip.Addr]error{six: context.Canceled, four: nil}, ""}, // it is silent for as long as it may
		{map[netip.Addr]error{six: nil}, ""},
		{map[netip.Addr]error{six: dead, four: errNoAnswer}, "no route to host; no answer"},
		{map[netip.Addr]error{six: unknown, four: dead}, "no right to send; no route to host"},
		{map[netip.Addr]error{six: dead, four: dead}, "no route to host"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := pingEach(t.Context(), []netip.Addr{six, four}[:len(c.says)], func(ctx context.Context, to netip.Addr) (Reading, error) {
				if c.says[to] == context.Canceled {
					<-ctx.Done()
				}
				return Reading{}, c.says[to]
			})
			if errText(err) != c.want || errors.As(err, new(Unknown)) {
				t.Errorf("%v: got %v, want %s", c.says, err, c.want)
			}
		})
	}
}

// peer is the other end of an echo's connection: it answers the requests that
// it is told to. The transport is UDP, which loses what nobody reads.
func peer(t *testing.T, answers func(seq byte) bool) net.Conn {
	t.Helper()
	far, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := far.ReadFrom(buf)
			if err != nil {
				return
			}
			if buf[0] = echoReply4; answers(buf[7]) {
				_, _ = far.WriteTo(buf[:n], from)
				_, _ = far.WriteTo(buf[:n], from) // a duplicate counts once
			}
		}
	}()
	near, err := net.Dial("udp", far.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return near
}

func TestPingCountsWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		answers        func(seq byte) bool
		sent, answered int
	}{
		"all":           {func(byte) bool { return true }, 3, 3},
		"one lost":      {func(seq byte) bool { return seq != 1 }, 3, 2},
		"a late sleepy": {func(seq byte) bool { return seq >= 3 }, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := echoes{conn: icmpConn{Conn: peer(t, c.answers)}, token: [8]byte{1}}
			e.run(t.Context())
			if len(e.sent) != c.sent || e.answered != c.answered || e.err != nil {
				t.Errorf("got %d sent, %d answered, %v, want %d and %d", len(e.sent), e.answered, e.err, c.sent, c.answered)
			}
		})
	}
}

func TestPingOfASilentHostEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e := echoes{conn: icmpConn{Conn: peer(t, func(byte) bool { return false })}}
	e.run(ctx)
	if e.answered != 0 || len(e.sent) > pings { // it would ask for 5 s
		t.Errorf("got %d answers to %d echoes, want none, and no echo after its time", e.answered, len(e.sent))
	}
	if got := e.why(); !errors.Is(got, errNoAnswer) {
		t.Errorf("got %v, want no answer", got)
	}
}

// TestPingReportsWhatTheNetworkSays: a closed port is UDP's unreachable host.
func TestPingReportsWhatTheNetworkSays(t *testing.T) {
	t.Parallel()
	conn, err := net.Dial("udp", closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	e := echoes{conn: icmpConn{Conn: conn}}
	e.run(t.Context())
	if got := e.why(); !errors.Is(got, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want connection refused", got)
	}
}

func TestEchoesToOthersAreNotOurs(t *testing.T) {
	token, other := [8]byte{1, 2}, [8]byte{2, 1}
	for _, v6 := range []bool{false, true} {
		c := icmpConn{v6: v6, header: !v6}
		packet := c.request(7, token)
		if _, ok := c.answer(withHeader(c, packet), token); ok {
			t.Error("our own request was taken for an answer")
		}
		packet[0] = map[bool]byte{false: echoReply4, true: echoReply6}[v6]
		if seq, ok := c.answer(withHeader(c, packet), token); !ok || seq != 7 {
			t.Errorf("got %d, %v, want 7, true", seq, ok)
		}
		if _, ok := c.answer(withHeader(c, packet), other); ok {
			t.Error("another's answer was taken for ours")
		}
		for n := range packet {
			if _, ok := c.answer(withHeader(c, packet)[:n], token); ok {
				t.Errorf("a packet of %d bytes was taken for an answer", n)
			}
		}
	}
}

func withHeader(c icmpConn, packet []byte) []byte {
	if !c.header {
		return packet
	}
	return append(append([]byte{0x45}, make([]byte, 19)...), packet...)
}

func TestChecksumOfAPacketWithItsChecksumIsZero(t *testing.T) {
	packet := icmpConn{}.request(200, [8]byte{0xff, 0xff, 0xff, 0xff, 0xfe, 0xdc, 0, 1})
	if got := checksum(packet); got != 0 {
		t.Errorf("got %#x, want 0", got)
	}
}

// TestPingProgramIsReadOrUnknown runs programs that say what busybox and
// iputils say.
func TestPingProgramIsReadOrUnknown(t *testing.T) {
	dir, to := t.TempDir(), netip.MustParseAddr("192.0.2.1")
	t.Setenv("PATH", dir)
	if _, err := pingProgram(t.Context(), to); !errors.As(err, new(Unknown)) {
		t.Errorf("no program: got %v, want an Unknown", err)
	}
	for name, c := range map[string]struct {
		script  string
		unknown bool
		value   float64
	}{
		"busybox":  {"echo '64 bytes from 192.0.2.1: seq=0 ttl=64 time=12.345 ms'; echo '64 bytes: seq=1 time=9.918 ms'", false, 9.92},
		"iputils":  {`[ "$*" = "-c 3 -w 5 192.0.2.1" ] && echo '64 bytes from 192.0.2.1: icmp_seq=1 ttl=64 time=0.25 ms'`, false, 0.25},
		"silence":  {"exit 1", false, -1},
		"no right": {"echo 'ping: permission denied (are you root?)'; exit 1", true, -1},
	} {
		if err := os.WriteFile(filepath.Join(dir, "ping"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := pingProgram(t.Context(), to)
		value := -1.0
		if got.Value != nil {
			value = *got.Value
		}
		if value != c.value || errors.As(err, new(Unknown)) != c.unknown {
			t.Errorf("%s: got %v, %v, want %v, unknown %v", name, value, err, c.value, c.unknown)
		}
	}
}
