package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// rolloutCommands are those below `ratchet rollout`.
type rolloutCommands struct{ *session }

func (s rolloutCommands) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Send a job in waves that stop by themselves",
		Long: `A rollout sends a job in waves: first to those that jq over their facts names,
then to growing shares of the devices, always the same ones. A wave is judged over
the devices that answered; those that are away are listed, and waited for no longer
than --within. Where too many fail nobody else begins.

All of it is one retained message at the broker. Any 'ratchet rollout run' carries
on what nobody carries any more; two of them notice each other.

AWS IoT Jobs and Azure IoT Hub have rollouts of their own; use those there.`,
		Example: `  ratchet rollout start wifi.yaml --to group/routers --canary '.tags.ring == "canary"'
  ratchet rollout status wifi-2026-11
  ratchet rollout pause wifi-2026-11 --because 'the exchange moves today'`,
	}
	cmd.AddCommand(s.startCommand(), s.statusCommand(), s.runCommand(),
		s.changeCommand("pause", "Open no further wave, and leave to each what it has", "", false),
		s.changeCommand("resume", "Go on with one that is paused or aborted",
			"What has failed by now does not count any more; --within begins again.", true),
		s.changeCommand("next", "Open the next wave without waiting for the gates", "After the last wave the rollout is done.", true),
		s.changeCommand("abort", "Let nobody begin who has not begun",
			"Devices that are at it, or done, are left alone: 'ratchet cancel' ends the job there.", false))
	return cmd
}

// who is how the audit log names the operator.
func who() string {
	host, err := os.Hostname()
	if err != nil {
		host = "somewhere"
	}
	return cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("USER"), "somebody") + "@" + host
}

// openRollout reads what there is of one rollout. The client is to be closed.
func (s rolloutCommands) openRollout(ctx context.Context, job string) (*link.Client, *rollout.Carrier, error) {
	if err := s.checkRollout(job); err != nil {
		return nil, nil, err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &rollout.Carrier{Ledger: rollout.Ledger{Broker: rollout.At(c), View: rollout.NewView(job), ID: who() + "/" + strings.ToLower(rand.Text()[:6])}}
	if err := c.ReadRetained(ctx, r.Take, fleet.Filters(c.Root(), rollout.Parts(job)...)...); err != nil {
		c.Close()
		return nil, nil, err
	}
	s.leftOut(r.View.Fleet)
	return c, r, nil
}

// checkRollout says why there can be no such rollout.
func (s rolloutCommands) checkRollout(job string) error {
	if !executor.ValidID(job) {
		return usageError{fmt.Errorf("%q is no job id: want 1 to 64 of A-Z a-z 0-9 _ -", job)}
	}
	return s.readyToRoll()
}

// readyToRoll is ready, where rollouts are this tool's business.
func (s rolloutCommands) readyToRoll() error {
	if err := s.ready(); err != nil {
		return err
	}
	if err := ownRollouts(s.link.Broker); err != nil {
		return usageError{err}
	}
	return nil
}

// ownRollouts says what to use where the service has rollouts of its own.
func ownRollouts(broker string) error {
	u, err := url.Parse(broker)
	if err != nil {
		return nil // whoever dials says so
	}
	host := u.Hostname()
	switch {
	case strings.HasSuffix(host, ".amazonaws.com"), strings.HasSuffix(host, ".amazonaws.com.cn"):
		return errors.New("a rollout is AWS IoT Jobs' own there: aws iot create-job with the job as --document, --job-executions-rollout-config for the rate " +
			"and --abort-config for when to stop")
	case strings.HasSuffix(host, ".azure-devices.net"), strings.HasSuffix(host, ".azure-devices.cn"):
		return errors.New("a rollout is Azure IoT Hub's own there: az iot hub configuration create with a --target-condition for each wave puts the job into the twins")
	}
	return nil
}

// outcome says how a rollout that nobody carries any more stands.
func (s rolloutCommands) outcome(d rollout.Document) error {
	last := d.History[len(d.History)-1]
	because := ""
	if last.Because != "" {
		because = ": " + last.Because
	}
	fmt.Fprintf(s.out, "rollout %s is %s in wave %s%s\n", d.Job, d.State, d.Waves[d.Wave], because)
	if d.State == rollout.Done {
		return nil
	}
	fmt.Fprintf(s.out, "'ratchet job %s' says why, 'ratchet rollout resume %s' goes on\n", d.Job, d.Job)
	return errJobFailed
}
