package updater

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A mender drives Mender's client standalone: its daemon must not run beside it.
type mender struct{ *Board }

// client is the program: of version 4 and later, or the one before.
func (b mender) client() string {
	return cmp.Or(b.program("mender-update"), b.program("mender"))
}

func (b mender) found() bool {
	return b.client() != "" && b.device() != ""
}

func (b mender) device() string {
	return b.variables("/var/lib/mender/device_type")["device_type"]
}

// nothingToCommit is the status with which commit and rollback say that no
// update is in progress.
const nothingToCommit = 2

func (b mender) backend(ctx context.Context) (*Backend, error) {
	if _, err := uboot(b).environment(ctx); err != nil {
		return nil, err
	}
	return &Backend{
		Name: "mender", Slots: true, Once: true,
		State: b.state, Install: b.install, Pending: uboot(b).pending, Confirm: b.confirm, Next: b.next,
		Environment: uboot(b).environment,
		Rollback: func(ctx context.Context, _ string) error {
			_, err := b.end(ctx, "rollback")
			return err
		},
	}, nil
}

// confirm commits. That there is nothing to commit is an error at the first time:
// then it was not this update that somebody has committed, or it was rolled back.
func (b mender) confirm(ctx context.Context, again bool) error {
	done, err := b.end(ctx, "commit")
	if err == nil && !done && !again {
		err = errors.New("mender commit: there is nothing to commit: another one has decided on this update, or it was not installed by Mender")
	}
	if err != nil {
		return err
	}
	why, err := uboot(b).pending(ctx)
	if err == nil && why != "" {
		err = fmt.Errorf("mender commit has ended well, and %s", why)
	}
	return err
}

// partitionName is how a device's name ends in the number of its partition: /dev/mmcblk0p2,
// and PARTUUID=6c586e13-02 on a disk with a boot record, in hex.
var partitionName = regexp.MustCompile(`^(?:/dev/[a-z]+(?:\d+n?\d*p)?(\d+)|PARTUUID=[0-9a-fA-F]{8}-([0-9a-fA-F]{2}))$`)

// next is known where Mender's boot scripts for U-Boot choose the slot, which keep the
// number of the partition, and the running one's is known too: a volume of UBI has none.
func (b mender) next(ctx context.Context) (string, error) {
	env, err := uboot(b).environment(ctx)
	if err != nil {
		return "", err
	}
	next, err := strconv.ParseInt(env["mender_boot_part"], 10, 32)
	runs, known := b.partition()
	switch {
	case err != nil || !known:
		return "", nil
	case runs == next:
		return b.rootDevice(), nil
	}
	return fmt.Sprintf("partition %d", next), nil
}

// partition is the number of the running one, where a name of its tells.
func (b mender) partition() (number int64, known bool) {
	for _, name := range b.rootNames() {
		found := partitionName.FindStringSubmatch(name)
		if found == nil {
			continue
		}
		digits, base := found[1], 10
		if digits == "" {
			digits, base = found[2], 16
		}
		number, err := strconv.ParseInt(digits, base, 32)
		return number, err == nil
	}
	return 0, false
}

// state adds the artifact's name to what the system itself says: before the commit
// the client may still name the old one.
func (b mender) state(ctx context.Context) (System, error) {
	out, err := b.ask(ctx, b.client(), "show-artifact")
	if err != nil {
		return System{}, err
	}
	own := b.system()
	versions := names(nil).add(b.variables("/etc/mender/artifact_info")["artifact_name"]).add(lastLine(out))
	for _, v := range own.Versions {
		versions = versions.add(v)
	}
	return System{Versions: versions, Boards: append([]string{b.device()}, own.Boards...), Slot: own.Slot}, nil
}

// install first takes back what an earlier attempt has left uncommitted: until then
// Mender 4 begins no other. What is not of this step it leaves alone, unless forced.
// To ask an older client whether it has one would end it: a failed install forgets it.
func (b mender) install(ctx context.Context, i Image, progress func(float64)) error {
	if i.Over {
		if _, err := b.end(ctx, "rollback"); err != nil {
			return err
		}
	}
	busy := false
	_, err := b.do(ctx, Call{Argv: []string{b.client(), "install", i.Path}, Line: func(line string) {
		busy = busy || strings.Contains(strings.ToLower(line), "already in progress")
		percent(line, progress)
	}})
	if err != nil && busy && !i.Over {
		err = fmt.Errorf("%w: %w", ErrPending, err)
	}
	return err
}

// end commits or rolls back. Called again it finds nothing in progress, and nothing is
// done.
func (b mender) end(ctx context.Context, verb string) (done bool, err error) {
	a, err := b.Run(ctx, Call{Argv: []string{b.client(), verb}})
	if err == nil && a.Code != 0 && a.Code != nothingToCommit {
		err = fmt.Errorf("exit status %d: %s", a.Code, a.Said)
	}
	if err != nil {
		return false, fmt.Errorf("mender %s: %w", verb, err)
	}
	return a.Code == 0, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
