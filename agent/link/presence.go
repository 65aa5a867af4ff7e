package link

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// echoAfter is how long after its first words a device should have heard itself.
const echoAfter = 10 * time.Second

// Unheard is what may be behind a device that never hears itself.
const Unheard = "the broker drops what this device says, or keeps it from hearing itself: " +
	"give it the right to write and to read everything below its own topic"

// heard notes that the broker gave back what this session said of the device.
func (s *Session) heard(p dialect.Presence) {
	if p.Online && (p.Since.IsZero() || !p.Since.Before(s.began.Time)) {
		s.echoed.Store(true)
	}
}

// correct says that the device is there, for an old session's will may come late;
// not once this session has begun to say that it leaves, which comes back too.
func (s *Session) correct() {
	s.saying <- struct{}{}
	defer func() { <-s.saying }()
	if !s.leaving {
		s.Send(s.link.presence())
	}
}

// leave has the session correct its presence no more; it reports whether what it
// says at this moment was taken in time.
func (s *Session) leave(ctx context.Context) bool {
	select {
	case s.saying <- struct{}{}:
		s.leaving = true
		<-s.saying
		return true
	case <-ctx.Done():
		return false
	}
}

// Heard reports whether the device has heard itself on this connection.
func (s *Session) Heard() bool { return s.echoed.Load() }

// errUnheard ends the first connection on which a device does not hear itself.
var errUnheard = errors.New("the broker does not give back what this device says of itself: connecting again")

// listen finds out where the broker drops what this device says. MQTT 3.1.1 has
// no answer that tells of it, so a device without the right to publish looks as
// if it were away, with its jobs done and nobody the wiser. It may also be that
// the broker speaks to another connection of this device, which is long dead: so
// a fresh one is made before anybody's rights are blamed.
func (s *Session) listen(ctx context.Context) {
	said := s.link.presence()
	if len(said) == 0 || !slices.Contains(s.link.dialect().Topics().Own, said[0].Topic) {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(echoAfter):
	}
	if s.echoed.Load() {
		s.link.unheard.Store(0)
		return
	}
	switch s.link.unheard.Add(1) {
	case 1:
		s.conn.fail(errUnheard)
	case 2: // once, not at every connection
		s.link.Log.Warn(Unheard, "topic", said[0].Topic)
	}
}
