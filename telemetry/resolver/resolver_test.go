package resolver

import (
	"context"
	"net"
	"testing"

	"github.com/ratchetd/ratchet/telemetry/dnstest"
)

// at asks one server with dial, whatever resolv.conf says.
func at(server string, dial func(ctx context.Context, network, server string) (net.Conn, error)) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, server) }}
}

// A name is found whatever a server thinks of questions with an OPT record; Go by itself
// finds none at those.
func TestServersThatRefuseEDNSAreAskedWithoutIt(t *testing.T) {
	for name, code := range map[string]byte{"format error": 1, "failure": 2, "not implemented": 4, "refused": 5, "silence": dnstest.Silence} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := dnstest.ServeOld(t, code)
			for range 2 { // the second time it is known
				got, err := at(server, Dial).LookupHost(t.Context(), "device.example.com")
				if err != nil || len(got) != 1 || got[0] != "127.0.0.1" {
					t.Errorf("got %v, %v", got, err)
				}
			}
			if !old.is(server) {
				t.Error("it is not known to be old")
			}
		})
	}
}

func TestOtherServersAreAskedAsGoDoes(t *testing.T) {
	server := dnstest.Serve(t)
	got, err := at(server, Dial).LookupHost(t.Context(), "device.example.com")
	if err != nil || len(got) != 1 || old.is(server) {
		t.Errorf("got %v, %v, old %v", got, err, old.is(server))
	}
}

// A name that does not exist, or a server that fails with and without, stays an error.
func TestAQuestionIsAskedAgainOnce(t *testing.T) {
	asked := 0
	far, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			_, from, err := far.ReadFrom(buf)
			if err != nil {
				return
			}
			asked++
			_, _ = far.WriteTo([]byte{buf[0], buf[1], 0x81, 0x82, 0, 0, 0, 0, 0, 0, 0, 0}, from)
		}
	}()
	question := []byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'a', 0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}
	conn, err := Dial(t.Context(), "udp", far.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 512)
	if _, err := conn.Write(question); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); err != nil || n != 12 || answer[3]&0x0f != 2 {
		t.Errorf("got % x, %v", answer[:n], err)
	}
	_ = far.Close()
	<-done
	if asked != 2 || old.is(far.LocalAddr().String()) {
		t.Errorf("asked %d times, old %v", asked, old.is(far.LocalAddr().String()))
	}
}

func TestTheOPTRecordIsTakenOffAndNothingElse(t *testing.T) {
	plain := []byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1}
	opt := []byte{0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}
	with := append(append([]byte{}, plain...), opt...)
	with[11] = 1
	if got, ok := withoutOPT(with); !ok || string(got) != string(plain) {
		t.Errorf("got % x, %v", got, ok)
	}
	two := append(append([]byte{}, with...), opt...)
	two[11] = 2
	for _, odd := range [][]byte{nil, plain, opt, two, with[:len(with)-1]} {
		if got, ok := withoutOPT(odd); ok {
			t.Errorf("% x: got % x", odd, got)
		}
	}
}
