package link

import (
	"context"
	"slices"
)

// atOnce is how many filters one request has, which every broker bears.
const atOnce = 100

// ReadExactly gives what is retained at these topics to take. It has a connection of
// its own: a broker that has dropped messages of one may answer it no more for a
// while. Nothing that comes there later is brought.
func (c *Client) ReadExactly(ctx context.Context, take func(Message), topics ...string) error {
	own, err := Connect(ctx, c.options)
	if err != nil {
		return err
	}
	defer own.Close()
	for chunk := range slices.Chunk(topics, atOnce) {
		if err := own.request(ctx, take, chunk); err != nil {
			return err
		}
	}
	return own.drain(ctx, take)
}
