package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	patience  = 10 * time.Second // for an answer
	maxAnswer = 1 << 20          // bytes
)

// ask puts one question to the API of JetStream, by the text protocol of NATS.
func ask[T any](node, question string, body any) (answer T, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	if body == nil {
		text = nil
	}
	payload, err := request(node, "$JS.API."+question, text)
	if err != nil {
		return answer, fmt.Errorf("asking %s for %s: %w", node, question, err)
	}
	var refused struct{ Error *struct{ Description string } }
	if err := json.Unmarshal(payload, &refused); err == nil && refused.Error != nil {
		return answer, fmt.Errorf("asking %s for %s: %s", node, question, refused.Error.Description)
	}
	return answer, json.Unmarshal(payload, &answer)
}

// request publishes on a subject, and returns what is said to that.
func request(node, subject string, body []byte) ([]byte, error) {
	c, err := net.DialTimeout("tcp", node, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	own := "_INBOX." + rand.Text() // where the answer is to go
	_, err = fmt.Fprintf(c, "CONNECT {\"verbose\":false}\r\nSUB %s 1\r\nPUB %s %s %d\r\n%s\r\n", own, subject, own, len(body), body)
	if err != nil {
		return nil, err
	}
	return answerOf(c)
}

// answerOf reads until the first message.
func answerOf(c net.Conn) ([]byte, error) {
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		text, n := string(line), 0
		switch {
		case strings.HasPrefix(text, "-ERR"):
			return nil, fmt.Errorf("the node says %s", strings.TrimSpace(text))
		case strings.HasPrefix(text, "MSG"):
			f := strings.Fields(text)
			if _, err := fmt.Sscan(f[len(f)-1], &n); err != nil || n < 0 || n > maxAnswer {
				return nil, fmt.Errorf("the node answers with %q: want at most %d bytes", text, maxAnswer)
			}
			payload := make([]byte, n)
			_, err := io.ReadFull(r, payload)
			return payload, err
		}
	}
}
