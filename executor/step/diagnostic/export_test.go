package diagnostic

import "time"

// SetCollectTimeout changes how long a command may take, until the returned
// func is called.
func SetCollectTimeout(d time.Duration) (restore func()) {
	usual := collectTimeout
	collectTimeout = d
	return func() { collectTimeout = usual }
}
