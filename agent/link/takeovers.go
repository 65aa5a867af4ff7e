package link

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// takeovers counts connections that the broker ended soon after they were made:
// what two devices with one id do to each other. A broker that cannot be reached
// in between is one that starts and falls.
type takeovers struct {
	at []time.Time
	on bool
}

// lost takes the end of a session and reports whether another device takes this
// one's place again and again, which lasts until a session held.
func (f *takeovers) lost(now time.Time, held time.Duration, err error) bool {
	switch {
	case errors.As(err, new(redial)):
		return false
	case held > awayTooLong, !f.on && errors.As(err, new(dialError)):
		*f = takeovers{}
	case held < time.Minute && droppedByPeer(err):
		f.at = append(f.at, now)
		f.at = f.at[max(0, len(f.at)-5):]
		f.on = f.on || len(f.at) == 5 && now.Sub(f.at[0]) < 10*time.Minute
	}
	return f.on
}

// droppedByPeer reports whether the broker made that end, and not the network.
func droppedByPeer(err error) bool {
	return !errors.As(err, new(dialError)) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}
