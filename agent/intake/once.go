package intake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/fence"
)

// judgeOnce judges an offer, but not one that took the agent down while it was
// judged: a retained offer would do so at every start. What is being judged is
// noted in RAM, which costs no flash and outlives the process.
func (i *Intake) judgeOnce(ctx context.Context, o dialect.Offer) (r executor.Record, err error) {
	note := filepath.Join(config.RuntimeDir(i.Config.Load().State), "judging")
	crashes, text := 0, executor.Digest(o.Text)
	if last, err := os.ReadFile(note); err == nil {
		var digest string
		if _, err := fmt.Sscan(string(last), &digest, &crashes); err != nil || digest != text {
			crashes = 0
		}
	}
	if crashes >= 2 {
		return r, errors.New("the agent crashed twice while it judged this document: it is not judged again in this boot")
	}
	_ = os.MkdirAll(filepath.Dir(note), 0o700) // a failure shows in the next line
	if err := os.WriteFile(note, fmt.Appendf(nil, "%s %d\n", text, crashes+1), 0o600); err != nil {
		i.Log.Debug("an offer is judged unguarded", "err", err)
	}
	defer os.Remove(note)
	err = fence.Call(func() (err error) { r, err = i.Decide(ctx, o); return err })
	fence.Log(i.Log, err, "a job was not judged", "job", o.ID)
	return r, err
}
