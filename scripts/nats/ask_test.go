package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// answering is a node that answers one question with these lines.
func answering(t *testing.T, lines string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "INFO {}\r\n")
		r := bufio.NewReader(c)
		for range 4 { // CONNECT, SUB, PUB and its payload
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
		}
		fmt.Fprint(c, lines)
	}()
	return l.Addr().String()
}

// A node that refuses, or sends what is no answer, is an error and no answer.
func TestANodeThatRefusesIsSaid(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"-ERR 'Authorization Violation'\r\n", "Authorization Violation"},
		{"MSG _INBOX.x 1 9999999999\r\n", "want at most"},
		{"MSG _INBOX.x 1 -1\r\n", "want at most"},
		{"MSG _INBOX.x 1 51\r\n" + `{"error":{"code":503,"description":"not enabled"}} ` + "\r\n", "not enabled"},
		{"", "EOF"},
	} {
		if _, err := ask[consumer](answering(t, c.lines), "INFO", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.lines, err, c.want)
		}
	}
	got, err := ask[consumer](answering(t, "PING\r\nMSG _INBOX.x 1 27\r\n"+`{"cluster":{"leader":"n2"}} `+"\r\n"), "INFO", nil)
	if err != nil || got.Cluster.Leader != "n2" {
		t.Errorf("got %+v and %v, want n2", got, err)
	}
}
