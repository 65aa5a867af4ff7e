package config

import "sync/atomic"

// A Current is the configuration in force. Whoever reads it more than once for
// one decision loads it once.
type Current struct{ atomic.Pointer[Config] }
