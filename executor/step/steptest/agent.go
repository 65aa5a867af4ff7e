package steptest

import (
	"errors"
	"os"
	"runtime"
	"testing"
)

// ErrRestart stands for the end of this agent and the start of the next one.
var ErrRestart = errors.New("the agent starts again")

// AgentBinary is a real program for this processor that can be an agent: called with
// "version" it prints that, which is its version then, and it finds every
// configuration good.
func AgentBinary(t *testing.T) []byte {
	t.Helper()
	binary, err := os.ReadFile("/bin/echo")
	if err != nil || len(binary) > 1<<20 || runtime.GOOS != "linux" {
		t.Skip("there is no /bin/echo of its own here")
	}
	return binary
}
