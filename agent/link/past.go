package link

import (
	"errors"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

const (
	// maxPast is how many statuses of this device are read back: a journal knows
	// 4,096 ids.
	maxPast = 8192
	// maxSeen is how many ids of a full subscribe are noted.
	maxSeen = 1 << 16
	// maxName is longer than any id of a job, and than a digest.
	maxName = 128
)

var errTooMuchPast = errors.New("the broker has more than 8,192 job statuses of this device, which never were all its own: clear them")

// A past is what this device once told, while it is read back; at other times
// nothing is kept of that.
type past struct {
	on   bool
	told []dialect.JobStatus
	err  error
}

// take ends the reading back, and returns what came.
func (p *past) take() ([]dialect.JobStatus, error) {
	was := *p
	*p = past{}
	return was.told, was.err
}

// add keeps of a status what a journal needs of it: a broker may send any length
// of the rest.
func (p *past) add(s dialect.JobStatus) {
	switch {
	case !p.on || p.err != nil || s.State == executor.Rejected || len(s.Job) > maxName:
		return
	case len(p.told) >= maxPast:
		p.told, p.err = nil, errTooMuchPast
		return
	}
	kept := dialect.JobStatus{Job: s.Job, Rev: s.Rev}
	if s.State.Final() {
		kept.State = s.State
	}
	if len(s.Digest) <= maxName {
		kept.Digest = s.Digest
	}
	p.told = append(p.told, kept)
}
