package link

import (
	"context"
	"fmt"
	"slices"
)

// atOnce is how many filters one request has, which every broker bears.
const atOnce = 100

// Ask asks for what is retained at these topics, and for nothing that comes there
// later. It does not wait for it: it comes into the feed.
func (c *Client) Ask(topics ...string) {
	for chunk := range slices.Chunk(topics, atOnce) {
		asked := map[string]byte{}
		for _, t := range chunk {
			asked[t] = readQoS
		}
		c.mqtt.SubscribeMultiple(asked, nil)
		c.mqtt.Unsubscribe(chunk...)
	}
}

// ReadExactly is ReadRetained for topics without a wildcard, of which no broker
// drops any. Nothing that comes there later is brought.
func (c *Client) ReadExactly(ctx context.Context, take func(Message), topics ...string) error {
	for chunk := range slices.Chunk(topics, atOnce) {
		asked := map[string]byte{}
		for _, t := range chunk {
			asked[t] = readQoS
		}
		token := c.mqtt.SubscribeMultiple(asked, nil)
		if err := c.wait(ctx, token, answerTimeout); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		if err := refused(token); err != nil {
			return err
		}
		c.mqtt.Unsubscribe(chunk...)
	}
	return c.drain(ctx, take)
}
