package rollout

import (
	"fmt"

	"github.com/ratchetd/ratchet/executor"
)

// Beside says what an offer would do to the rollout of the same job that lies at the
// broker as document, where it would let devices begin whose wave is not open, or
// that an abort keeps from beginning; nil otherwise. Of a document that cannot be
// read it says that: nobody knows how far the job may go. Offered is the rollout in
// the envelope of the offer; nil is everybody.
func Beside(job string, document []byte, offered *executor.Rollout) error {
	if len(document) == 0 {
		return nil
	}
	d, err := Parse(job, document)
	if err != nil {
		return err
	}
	reach := d.Reach()
	switch {
	case d.State == Done, offered != nil && offered.Where == "" && offered.Percent <= reach.Percent:
		return nil
	case d.State == Aborted:
		return fmt.Errorf("the rollout of %s was aborted in wave %s, and this would let devices begin that it keeps from beginning: "+
			"'ratchet rollout resume %s' goes on with it", job, d.wave(), job)
	}
	return fmt.Errorf("a rollout of %s is %s in wave %d of %d (%s), and this would let devices begin whose wave is not open: "+
		"'ratchet rollout next %s' opens the next one", job, d.State, d.Wave+1, len(d.Waves), d.wave(), job)
}
