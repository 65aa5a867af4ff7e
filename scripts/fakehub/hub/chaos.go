package hub

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Chaos are harms by chance: each number is how likely one is, 0 to 1.
type Chaos struct {
	Seed     uint64  `json:"seed"`
	Throttle float64 `json:"throttle"` // 429
	Fail     float64 `json:"fail"`     // 500
	Lose     float64 `json:"lose"`
	Twice    float64 `json:"twice"`
	Cut      float64 `json:"cut"` // also of D2C messages, before their PUBACK
	Late     float64 `json:"late"`
	Millis   int64   `json:"millis"` // at most so late
}

// Fate is for Hub.Fate. Methods and patches from the service are never lost by
// it: their caller learns of it.
func (c Chaos) Fate() func(string) Fate {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(c.Seed, 1))
	return func(topic string) Fate {
		mu.Lock()
		defer mu.Unlock()
		hit := func(p float64) bool { return dice.Float64() < p }
		f := Fate{Lost: hit(c.Lose), Twice: hit(c.Twice), Cut: hit(c.Cut)}
		if hit(c.Late) && c.Millis > 0 {
			f.Delay = time.Duration(dice.Int64N(c.Millis)) * time.Millisecond
		}
		if strings.Contains(topic, "methods/") || strings.Contains(topic, "desired") {
			return Fate{Twice: f.Twice, Delay: f.Delay}
		}
		switch {
		case hit(c.Throttle):
			f.Status = 429
		case hit(c.Fail):
			f.Status = 500
		}
		return f
	}
}
