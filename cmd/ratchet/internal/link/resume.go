package link

import "context"

// Resume goes on with a session that the broker keeps by this name, so that it
// queues what comes for the filters while nobody is there. What comes is to be
// acknowledged with Ack, in its order, or it comes again; so does everything that
// was not when the connection broke. The client does not connect again by itself,
// for only a new one learns whether the broker has kept the session, which kept says.
// What is retained comes only where it has not, and of that a broker may drop some.
func Resume(ctx context.Context, o Options, session string, filters ...string) (c *Client, kept bool, err error) {
	c = newClient(o)
	settings, err := c.settings(o)
	if err != nil {
		return nil, false, err
	}
	settings.SetClientID(session).SetCleanSession(false).SetAutoReconnect(false).SetAutoAckDisabled(true)
	if kept, err = c.connect(ctx, o, settings); err != nil {
		return nil, false, err
	}
	if kept {
		return c, true, nil
	}
	asked := map[string]byte{}
	for _, f := range filters {
		asked[f] = 1
	}
	if err := c.subscribe(ctx, asked); err != nil {
		c.Close()
		return nil, false, err
	}
	return c, false, nil
}
