package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var echoTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// pingProgram pings with the program ping, which may have the right that this
// one lacks. busybox and iputils share these options.
func pingProgram(ctx context.Context, to netip.Addr) (Reading, error) {
	path, err := exec.LookPath("ping")
	if err != nil {
		return Reading{}, Unknown{"no ping can be sent: the kernel lets this agent send none, and there is no program ping"}
	}
	cmd := exec.CommandContext(ctx, path, "-c", strconv.Itoa(pings), "-w", "5", to.String())
	cmd.Env, cmd.WaitDelay = []string{"LANG=C"}, time.Second
	said, err := cmd.CombinedOutput()
	answers := echoTime.FindAllSubmatch(said, -1)
	var exit *exec.ExitError
	switch {
	case len(answers) > 0:
		return inMillis(fastest(answers), to.String()), nil
	case !errors.As(err, &exit), strings.Contains(strings.ToLower(string(said)), "permi"):
		return Reading{}, Unknown{fmt.Sprintf("no ping can be sent: %s: %v", strings.TrimSpace(string(said)), err)}
	}
	return Reading{}, fmt.Errorf("%w from %s", errNoAnswer, to)
}

func fastest(answers [][][]byte) time.Duration {
	var best time.Duration
	for i, a := range answers {
		ms, _ := strconv.ParseFloat(string(a[1]), 64)
		if d := time.Duration(ms * float64(time.Millisecond)); i == 0 || d < best {
			best = d
		}
	}
	return best
}
