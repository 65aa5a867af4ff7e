package upload

import (
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	return executor.Description{
		Places: map[string]executor.Place{"url": executor.One, "headers": executor.Values},
		Does:   fmt.Sprintf("sends %s to %s", strings.Join(p.List("paths"), ", "), p.Text("url")),
		Cut:    "it is sent again from its beginning",
	}
}
