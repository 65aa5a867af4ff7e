package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/itchyny/gojq"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

const (
	operatorID = "operator"
	root       = "ratchet/v1"
)

// A watcher is the operator: it sends jobs, and sees all that is said.
type watcher struct {
	client mqtt.Client
	mu     sync.Mutex
	last   map[string][]byte                       // by topic below the root
	ends   map[string]map[executor.State]time.Time // final states ever seen, by topic
}

// watch connects to b, and again whenever b comes back.
func watch(b *broker) (*watcher, error) {
	w := &watcher{last: map[string][]byte{}, ends: map[string]map[executor.State]time.Time{}}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.operator).SetClientID(operatorID).SetOrderMatters(true).
		SetMaxReconnectInterval(100 * time.Millisecond).
		SetOnConnectHandler(func(c mqtt.Client) { c.Subscribe(root+"/#", 1, w.take) })
	w.client = mqtt.NewClient(o)
	return w, settled(w.client.Connect())
}

func settled(t mqtt.Token) error {
	if !t.WaitTimeout(patience) {
		return errors.New("the broker does not answer")
	}
	return t.Error()
}

func (w *watcher) take(_ mqtt.Client, m mqtt.Message) {
	topic := strings.TrimPrefix(m.Topic(), root+"/")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(m.Payload()) == 0 {
		delete(w.last, topic)
		return
	}
	w.last[topic] = slices.Clone(m.Payload())
	parsed, ok := dialect.ParseTopic(root, m.Topic())
	s, err := dialect.ParseStatus(m.Payload())
	if ok && parsed.Part == "jobs" && err == nil && s.State.Final() && s.Rev > 0 {
		if w.ends[topic] == nil {
			w.ends[topic] = map[executor.State]time.Time{}
		}
		w.ends[topic][s.State] = time.Now()
	}
}

// send publishes a retained message at a topic below the root.
func (w *watcher) send(topic string, payload []byte) error {
	return settled(w.client.Publish(root+"/"+topic, 1, true, payload))
}

// sees waits until the last message at a topic satisfies a jq expression.
func (w *watcher) sees(topic, expression string) error {
	return patiently(func() error {
		w.mu.Lock()
		payload, ok := w.last[topic]
		w.mu.Unlock()
		if !ok {
			return fmt.Errorf("%s: nothing is there", topic)
		}
		return satisfies(payload, expression)
	})
}

// gone waits until nothing lies at a topic.
func (w *watcher) gone(topic string) error {
	return patiently(func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if payload, ok := w.last[topic]; ok {
			return fmt.Errorf("%s: %s", topic, payload)
		}
		return nil
	})
}

func satisfies(payload []byte, expression string) error {
	query, err := gojq.Parse(expression)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		return fmt.Errorf("%w: %s", err, payload)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, _ := query.RunWithContext(ctx, v).Next()
	if result != true {
		return fmt.Errorf("%s is %v for %s", expression, result, payload)
	}
	return nil
}

// oneEnd tells which job was seen in two final states.
func (w *watcher) oneEnd() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for topic, states := range w.ends {
		if len(states) > 1 {
			return fmt.Errorf("%s ended more than once: %v", topic, slices.Sorted(maps.Keys(states)))
		}
	}
	return nil
}

func (w *watcher) close() { w.client.Disconnect(0) }
